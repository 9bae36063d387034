"""An app that is not ours, with the service mounted in it: ``python -m tests.foreign_app PORT [HANDLER]``."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import logging
import sys
from typing import Any

from flask import Flask, render_template
from flask_sock import Sock
from gevent.pywsgi import WSGIServer
from jinja2 import DictLoader

from whisper_service import Transcriber

app = Flask(__name__)
app.jinja_loader = DictLoader({"index.html": "<title>The host's own page</title>"})
sock = Sock(app)
Transcriber(app, url_prefix="/speech", page=True)


@app.get("/")
def home() -> str:
    return render_template("index.html")


@sock.route("/echo")
def echo(peer: Any) -> None:
    while True:
        peer.send(peer.receive())


def main(port: int, handler: str | None) -> None:
    logging.basicConfig(level=logging.INFO)
    options: dict[str, Any] = {}
    if handler == "gevent-websocket":
        from geventwebsocket.handler import WebSocketHandler

        options["handler_class"] = WebSocketHandler
    WSGIServer(("127.0.0.1", port), app, **options).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)

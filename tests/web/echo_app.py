"""An app around the transport, for a subprocess: ``python -m tests.web.echo_app PORT [gevent-websocket]``.

``app`` is also the application for gunicorn. The client names its connection with ``?id=``; what became of it
is answered by ``/outcome/<id>`` as soon as its handler has ended.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import logging
import os
import sys
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any

import flask
import flask_sock
import gevent
from gevent.event import AsyncResult
from gevent.pywsgi import WSGIServer

from whisper_service.web.handshake import serve
from whisper_service.web.transport import Transport, TransportClosed

MAX_MESSAGE_BYTES = 2 * 1024 * 1024
SEND_TIMEOUT_S = 3.0
FLOOD_MESSAGES, FLOOD_CHARACTERS = 310, 66_000

app = flask.Flask(__name__)
sock = flask_sock.Sock(app)
outcomes: defaultdict[str, AsyncResult[dict[str, Any]]] = defaultdict(AsyncResult)


def flood_message(index: int) -> str:
    """Return a message that no other one, and no part of one, equals."""
    return f"{index:06d}" + chr(ord("a") + index % 26) * FLOOD_CHARACTERS


def echo(peer: Transport) -> None:
    while (message := peer.receive()) is not None:
        peer.send(message if isinstance(message, str) else f"{len(message)} bytes {message[:4].hex()}")


def big(peer: Transport) -> None:
    peer.send("x" * 1_000_000)
    echo(peer)


def flood(peer: Transport) -> None:
    """Send from two greenlets and ping from a third, while this one receives."""

    def send(parity: int) -> None:
        with suppress(TransportClosed):
            for index in range(parity, FLOOD_MESSAGES, 2):
                peer.send(flood_message(index))

    def ping() -> None:
        with suppress(TransportClosed):
            while True:
                peer.ping()
                gevent.sleep(0.02)

    senders = [gevent.spawn(send, parity) for parity in (0, 1)]
    pings = gevent.spawn(ping)
    echo(peer)
    gevent.killall([*senders, pings])


def pour(peer: Transport) -> None:
    while True:
        peer.send("y" * 100_000)


def close(peer: Transport) -> None:
    peer.receive()
    peer.close(int(flask.request.args["code"]), "because " * 50)


def close_elsewhere(peer: Transport) -> None:
    gevent.spawn_later(0.05, peer.close, 1012, "restart")
    while peer.receive() is not None:
        pass


def leave(peer: Transport) -> None:
    peer.send("bye")


def fail(peer: Transport) -> None:
    peer.receive()
    raise RuntimeError("on purpose")


def heard(peer: Transport) -> None:
    """Ping once and answer when the pong has come."""
    before_s = peer.last_heard
    peer.ping()
    with gevent.Timeout(2.0):
        reader = gevent.spawn(peer.receive)
        while peer.last_heard == before_s:
            gevent.sleep(0.005)
    peer.send("heard")
    reader.join(5)


HANDLERS = {f.__name__: f for f in (echo, big, flood, pour, close, close_elsewhere, leave, fail, heard)}


@app.route("/ws/<name>", websocket=True)
def websocket(name: str) -> flask.Response:
    started_s = time.monotonic()
    outcome: dict[str, Any] = {"raised": None}

    def handle(peer: Transport) -> None:
        try:
            HANDLERS[name](peer)
        except Exception as exc:
            outcome["raised"] = type(exc).__name__
            raise
        finally:
            outcome["close_code"] = peer.close_code

    try:
        return serve(
            flask.request.environ,
            handle,
            max_message_bytes=MAX_MESSAGE_BYTES,
            send_timeout_s=float(flask.request.args.get("send_timeout_s", SEND_TIMEOUT_S)),
        )
    finally:
        outcome["seconds"] = time.monotonic() - started_s
        outcomes[flask.request.args.get("id", "")].set(outcome)


@app.after_request
def spoil(response: flask.Response) -> flask.Response:
    """Do what a host application may do to every response."""
    if "spoil" in flask.request.args:
        raise RuntimeError("on purpose")
    return response


@app.get("/outcome/<key>")
def outcome(key: str) -> dict[str, Any]:
    result: dict[str, Any] = outcomes[key].get(timeout=5)
    return result


@app.get("/sockets")
def sockets() -> dict[str, int]:
    """Return how many sockets this process has open."""
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
    return {"open": sum(link.startswith("socket:") for link in links)}


@sock.route("/flask-sock")
def flask_sock_echo(peer: Any) -> None:
    while True:
        peer.send(peer.receive())


def main(port: int, handler: str | None) -> None:
    logging.basicConfig(level=logging.INFO)
    if handler == "gevent-websocket":
        from geventwebsocket.handler import WebSocketHandler

        WSGIServer(("127.0.0.1", port), app, handler_class=WebSocketHandler).serve_forever()
    WSGIServer(("127.0.0.1", port), app).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)

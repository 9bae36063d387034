"""gevent's own server under an app, for one process without gunicorn."""

from __future__ import annotations

import os
import signal
import sys

import gevent
from flask import Flask
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from whisper_service.errors import ConfigError, ModelUnavailable
from whisper_service.extension import Transcriber
from whisper_service.service import Service


def serve(app: Flask) -> None:
    """Serve ``app`` on ``HOST`` and ``PORT`` (127.0.0.1:5003) until SIGTERM or SIGINT, then drain. Blocks."""
    host, port = os.environ.get("HOST", "127.0.0.1"), _port(os.environ.get("PORT", "5003"))
    server = WSGIServer((host, port), app, log=None)
    service = Transcriber.service(app)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stopping.set)
    server.start()
    service.start()
    gevent.spawn(_announce, service, f"http://{host}:{server.server_port}")
    stopping.wait()
    server.stop_accepting()
    service.drain()
    server.stop(timeout=1)
    service.stop()


def _announce(service: Service, address: str) -> None:
    """Say where the service is, once it takes streams; the one line that a person waits for."""
    try:
        parts = service.parts()
    except ModelUnavailable as problem:
        print(f"The page is at {address}, but there is no model: {problem}", file=sys.stderr, flush=True)
        return
    print(f"Listening on {address} (model {parts.model})", flush=True)


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise ConfigError(f"PORT is {text!r}; accepted: 0 … 65535.")
    return port

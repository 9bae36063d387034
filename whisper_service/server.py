"""Serves an app with gevent's own server, in one process without gunicorn."""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import Any

import gevent
from flask import Flask
from gevent.event import Event
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from whisper_service.errors import ConfigError, Draining, ModelUnavailable
from whisper_service.extension import Transcriber
from whisper_service.service import Service

#: Seconds until the head of a request must be complete, from the connection or the previous response on.
_REQUEST_TIMEOUT_S = 10.0
#: Seconds that a plain request may take, with its body, its response, and a client that reads slowly.
_RESPONSE_TIMEOUT_S = 60.0
#: The highest number of connections, as in gunicorn.conf.py, and the file descriptors that the process needs
#: besides them.
_CONNECTIONS = 2_000
_OTHER_DESCRIPTORS = 200
#: Interval at which the console says that the model is still being loaded, in seconds.
_PATIENCE_S = 60.0


class _Handler(WSGIHandler):
    """Disconnects clients that send nothing, or too slowly: each would occupy a connection for ever."""

    _timeout: gevent.Timeout | None = None

    def read_requestline(self) -> Any:
        self._timeout = gevent.Timeout.start_new(_REQUEST_TIMEOUT_S)
        line: Any = ""
        try:
            line = super().read_requestline()
        except gevent.Timeout as timeout:
            if timeout is not self._timeout:
                raise  # it is not ours; ours counts as a closed connection
        finally:
            if not line:
                self._cancel()
        return line

    def read_request(self, raw_requestline: str) -> Any:
        try:
            return super().read_request(raw_requestline)
        except gevent.Timeout as timeout:
            if timeout is not self._timeout:
                raise
            self.close_connection = True
            return None
        finally:
            self._cancel()

    def handle_one_response(self) -> None:
        """Answer a request. If its body does not come, or nobody reads the response, a deadline ends it."""
        if self.environ is not None and self.environ.get("HTTP_UPGRADE"):
            super().handle_one_response()
            return
        with gevent.Timeout(_RESPONSE_TIMEOUT_S) as timeout:
            try:
                super().handle_one_response()
            except gevent.Timeout as over:
                if over is not timeout:
                    raise
                self.close_connection = True

    def _cancel(self) -> None:
        if self._timeout is not None:
            self._timeout.close()


def serve(app: Flask) -> None:
    """Serve ``app`` until SIGTERM or SIGINT, then drain. Blocks.

    The environment variables ``HOST`` and ``PORT`` give the address, by default 127.0.0.1:5003.
    """
    host, port = os.environ.get("HOST", "127.0.0.1"), _port(os.environ.get("PORT", "5003"))
    connections = _connections()
    server = WSGIServer((host, port), app, log=None, handler_class=_Handler, spawn=Pool(connections))
    service = Transcriber.service(app)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stopping.set)
    Transcriber.warn_if_open([host], app)
    server.start()
    service.start()
    gevent.spawn(_announce, service, f"http://{host}:{server.server_port}")
    stopping.wait()
    # New requests are still answered meanwhile: /readyz says no, and a new stream is told to connect again.
    service.drain()
    server.stop(timeout=1)
    service.stop()


def _connections() -> int:
    """Return how many connections there may be at once, after raising the limit of file descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OTHER_DESCRIPTORS
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(10, min(_CONNECTIONS, soft - _OTHER_DESCRIPTORS))


def _announce(service: Service, address: str) -> None:
    """Print the address of the service once it takes streams: the line that a person waits for."""
    while not service.wait(_PATIENCE_S):
        print(f"The server is at {address}; the model is still being loaded.", file=sys.stderr, flush=True)
    try:
        service.parts()
    except ModelUnavailable as problem:
        print(f"The server is at {address}, but there is no model: {problem}", file=sys.stderr, flush=True)
        return
    except Draining:
        return
    print(f"Listening on {address} (model {service.about()['model']})", flush=True)


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise ConfigError(f"PORT is {text!r:.40}; accepted: 0 … 65535.")
    return port

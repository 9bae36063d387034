"""Opens a WebSocket from a WSGI request, on every gevent server, and ends it as the server expects of a view.

A view on a route with ``websocket=True`` calls :func:`serve`, or :func:`accept` and :func:`finish`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import flask
import gevent.socket
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from werkzeug.exceptions import BadRequest, HTTPException

from whisper_service.errors import TranscriptionError
from whisper_service.web.budget import ByteBudget
from whisper_service.web.transport import RefusingProtocol, Transport, TransportClosed, WsgiTransport

log = logging.getLogger(__name__)

# Only the headers that ServerProtocol reads: a long cookie would exceed its limit for a header line.
_HANDSHAKE_HEADERS = (
    "CONNECTION",
    "UPGRADE",
    "SEC_WEBSOCKET_KEY",
    "SEC_WEBSOCKET_VERSION",
    "SEC_WEBSOCKET_PROTOCOL",
    "TRANSFER_ENCODING",
)
# The logger of ServerProtocol. Our state changes are atomic because nothing in them switches greenlets. A log
# handler that takes a lock or writes to a socket would switch, so this logger has no handlers.
_SILENT = logging.Logger(f"{__name__}.protocol", level=logging.CRITICAL + 1)


class UnsupportedServer(RuntimeError):
    """The WSGI server provides no gevent socket."""

    def __str__(self) -> str:
        return (
            "a live transcription needs a WebSocket on a gevent server: serve the app with `python app.py`, "
            "`gunicorn -k gevent`, or gevent.pywsgi.WSGIServer after gevent.monkey.patch_all()"
        )


def accept(
    environ: dict[str, Any],
    *,
    max_message_bytes: int,
    send_timeout_s: float,
    budget: ByteBudget | None = None,
    subprotocol: str = "",
) -> WsgiTransport:
    """Return the transport of a WebSocket request after the handshake.

    Extensions are declined, because deflate does not shrink audio, and text is small.

    :param environ: the WSGI environment of the request.
    :param budget: limit on the bytes that all connections together may hold.
    :param subprotocol: the one to answer with if the client offers it; "" for none.
    :raises UnsupportedServer: if the server is not a gevent server.
    :raises HTTPException: if the handshake is bad. Flask turns it into a response.
    :raises TransportClosed: if the client has gone.
    """
    theirs = environ.get("wsgi.websocket")
    protocol = RefusingProtocol(
        state=State.CONNECTING if theirs is None else State.OPEN,
        max_size=max_message_bytes,
        logger=_SILENT,
        select_subprotocol=lambda _, offered: Subprotocol(subprotocol) if subprotocol in offered else None,
    )
    if theirs is None:
        sock = _server_socket(environ)
        _shake_hands(protocol, environ)
    else:
        # gevent-websocket's reader takes 4 ms for 21 KB and has no size limit, its close() loses the close
        # code, and it has no pings. We need only its socket. We mark its object as closed, so that it writes
        # no frames of its own.
        sock = _gevent_socket(getattr(getattr(theirs, "handler", None), "socket", None))
        theirs.closed = True
    transport = WsgiTransport(sock, protocol, send_timeout_s=send_timeout_s, budget=budget)
    transport.start()
    return transport


class NoResponse(flask.Response):
    """The response of a view whose WebSocket has ended. The access log shows a 101, but no byte is sent.

    The server may call it only after the socket is shut down. Each server then ends the connection:

    - pywsgi fails to write the headers (EPIPE, which it ignores) and closes the connection. If we returned
      ``[]`` without ``start_response``, as flask-sock does, pywsgi would wait for the next request.
    - gunicorn's gevent worker does the same, and logs it at DEBUG. flask-sock raises StopIteration there.
      Any middleware that catches exceptions, or iterates in a generator, turns that into an error.
    - gevent-websocket's handler, alone or in gunicorn, has a ``start_response`` that does nothing.

    The connection ends in the same way if an ``after_request`` function replaces this response, or if it
    fails and Flask returns its own error page.
    """

    default_status = 101
    default_mimetype = None


def finish(transport: Transport) -> NoResponse:
    """Return the response for the view, after closing the connection."""
    transport.close()
    return NoResponse()


def serve(
    environ: dict[str, Any],
    handler: Callable[[Transport], None],
    *,
    max_message_bytes: int,
    send_timeout_s: float,
    budget: ByteBudget | None = None,
    subprotocol: str = "",
) -> NoResponse:
    """Run ``handler`` on the connection and return the response for the view.

    The close code is 1000 when the handler returns, the error's own code after a :class:`TranscriptionError`
    (1011 if it has none), 1011 after any other exception, and 1001 if the greenlet is killed.

    :raises UnsupportedServer, HTTPException: as :func:`accept` does.
    """
    try:
        transport = accept(
            environ,
            max_message_bytes=max_message_bytes,
            send_timeout_s=send_timeout_s,
            budget=budget,
            subprotocol=subprotocol,
        )
    except TransportClosed:
        return NoResponse()
    code, reason = 1001, ""
    try:
        handler(transport)
        code = 1000
    except TransportClosed:
        log.debug("the client left before the handler was done")
    except TranscriptionError as exc:
        code, reason = exc.close_code or 1011, exc.code
    except Exception:
        log.exception("WebSocket handler failed")
        code, reason = 1011, TranscriptionError.code
    finally:
        transport.close(code, reason)
        transport.allowance.close()
    return finish(transport)


def _server_socket(environ: dict[str, Any]) -> gevent.socket.socket:
    """Return the socket of the request from pywsgi or from gunicorn's gevent worker."""
    sock = environ.get("gunicorn.socket")
    if sock is None:
        stream = environ.get("wsgi.input")
        stream = getattr(stream, "rfile", stream)
        sock = getattr(getattr(stream, "raw", None), "_sock", None)
    return _gevent_socket(sock)


def _gevent_socket(sock: object) -> gevent.socket.socket:
    if not isinstance(sock, gevent.socket.socket):
        raise UnsupportedServer
    return sock


def _shake_hands(protocol: ServerProtocol, environ: dict[str, Any]) -> None:
    """Make ``protocol`` accept the request of ``environ``.

    :raises HTTPException: if the request is refused, with the status of the refusal. Nothing has been written
        to the socket then.
    """
    protocol.receive_data(_request_bytes(environ))
    events = protocol.events_received()
    if not events or not isinstance(events[0], Request):
        raise BadRequest("Failed to open a WebSocket connection: not an HTTP/1.1 request without a body.")
    response = protocol.accept(events[0])
    if response.status_code == 101:
        protocol.send_response(response)
        return
    refusal = flask.Response(bytes(response.body), status=response.status_code, mimetype="text/plain")
    for name in ("Upgrade", "Allow"):
        if name in response.headers:
            refusal.headers[name] = response.headers[name]
    raise HTTPException(response=refusal)


def _request_bytes(environ: dict[str, Any]) -> bytes:
    """Return the handshake request as bytes, without the parts that do not matter, such as the path."""
    lines = [f"{environ['REQUEST_METHOD']} / {environ['SERVER_PROTOCOL']}"]
    for key in _HANDSHAKE_HEADERS:
        value = environ.get(f"HTTP_{key}")
        if value is not None:
            lines.append(f"{key.replace('_', '-')}: {value}")
    if environ.get("CONTENT_LENGTH"):
        lines.append(f"Content-Length: {environ['CONTENT_LENGTH']}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")

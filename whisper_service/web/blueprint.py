"""The routes: the WebSocket under its three paths, client secrets, health checks, figures, and the pages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from flask import Blueprint, Response, jsonify, render_template_string, request

from whisper_service import tracing
from whisper_service.config import Config, RawFormat, StreamSettings
from whisper_service.errors import InternalError, TranscriptionError
from whisper_service.live import Stream
from whisper_service.logs import of_session
from whisper_service.metrics import CONTENT_TYPE_LATEST, Metrics
from whisper_service.parts import Listeners, Parts
from whisper_service.protocol.dialect import Dialect, Failure
from whisper_service.protocol.dialects import of_transcribe
from whisper_service.protocol.resume import Tokens
from whisper_service.signals import Courier, Reporter
from whisper_service.web.admission import SUBPROTOCOL, Admission
from whisper_service.web.handshake import UnsupportedServer, serve
from whisper_service.web.origins import is_local
from whisper_service.web.quotas import Quotas
from whisper_service.web.refusal import refusal
from whisper_service.web.secrets import ClientSecrets
from whisper_service.web.socket import Pulse, Socket
from whisper_service.web.sockets import Sockets
from whisper_service.web.transport import Transport
from whisper_service.web.visit import Visit

log = logging.getLogger(__name__)

#: The WebSocket's paths: our own, and two that tutorials in circulation use.
SOCKET_PATHS = ("/transcribe", "/transcription", "/ws/transcribe")
#: On this path, binary frames of no declared format and no known file type are raw samples, because a
#: tutorial's client sends such frames.
_RAW_PATH = "/ws/transcribe"
#: The audio sample that comes with the page, relative to the static folder.
SAMPLE = "samples/talk-00.flac"
#: The page loads nothing from other hosts and runs no inline scripts. RecordRTC creates its worker from a
#: blob. Older versions of Safari do not accept 'self' for a WebSocket.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; "
    "worker-src blob:; connect-src 'self' ws://{host} wss://{host}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


def assets_folder(name: str) -> Path:
    """Return a folder of assets: inside an installed package, next to the package in a checkout.

    :param name: ``static`` or ``templates``.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


class Backend(Protocol):
    """The part of the service that the routes use."""

    def state(self) -> tuple[bool, str]:
        """Return whether new streams are accepted, and a status text that says why if they are not."""

    def about(self) -> dict[str, Any]:
        """Return the model's name and the warnings for its users; an empty dict until it is loaded."""

    def parts(self) -> Parts:
        """Return the objects that all streams share. Waits for the model.

        :raises ModelUnavailable: if there is no model, or it does not load in time.
        :raises Draining: if the server accepts no more streams.
        """


@dataclass(frozen=True, slots=True)
class Mount:
    """The objects that all routes of one app share."""

    config: Config
    backend: Backend
    sockets: Sockets
    tokens: Tokens
    admission: Admission
    courier: Courier
    metrics: Metrics
    quotas: Quotas
    secrets: ClientSecrets


#: Creates the dialect of a connection from the query parameters of its URL and the server's defaults.
DialectFactory = Callable[[Mapping[str, str], StreamSettings], Dialect]


def create_blueprint(mount: Mount, *, name: str, url_prefix: str, page: bool) -> Blueprint:
    """Return the blueprint with the service's routes.

    :param page: whether the page is served at the prefix.
    """
    static = "static" if url_prefix else "whisper/static"
    blueprint = Blueprint(
        name,
        __name__,
        url_prefix=url_prefix or None,
        static_folder=str(assets_folder("static")),
        static_url_path=f"/{static}",
    )
    blueprint.register_error_handler(TranscriptionError, refusal)
    _add_sockets(blueprint, mount)
    _add_entry(blueprint, mount)
    _add_state(blueprint, mount)
    if mount.config.access.metrics != "off":
        _add_figures(blueprint, mount, static)
    if page:
        _add_page(blueprint, static)
    return blueprint


def _add_sockets(blueprint: Blueprint, mount: Mount) -> None:
    for path in SOCKET_PATHS:
        encoding = mount.config.raw_format or ("s16le" if path == _RAW_PATH else "")
        undeclared = RawFormat.of(encoding) if encoding else None
        blueprint.add_url_rule(
            path,
            f"socket{path.replace('/', '_')}",
            socket_view(mount, partial(of_transcribe, undeclared=undeclared, tokens=mount.tokens)),
            websocket=True,
        )


def _add_entry(blueprint: Blueprint, mount: Mount) -> None:
    @blueprint.get("/entry")
    def entry() -> Response:
        """Say whether this client may enter: a browser's script does not see why a handshake was refused."""
        with mount.quotas.one_more(mount.admission.admit_now(request)):
            return jsonify(status="welcome")

    @blueprint.post("/v1/realtime/client_secrets")
    def client_secrets() -> Response:
        visitor = mount.admission.admit_now(request)
        return jsonify(mount.secrets.answer(visitor.name, request.get_json(silent=True)))


def _add_state(blueprint: Blueprint, mount: Mount) -> None:
    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @blueprint.get("/readyz")
    def readyz() -> tuple[Response, int]:
        ready, status = mount.backend.state()
        return jsonify(status=status, **mount.backend.about()), 200 if ready else 503


def _add_figures(blueprint: Blueprint, mount: Mount, static: str) -> None:
    @blueprint.get("/metrics")
    def metrics() -> Response:
        if mount.config.access.metrics != "open" and not is_local(request):
            mount.admission.admit_with_key(request)
        return Response(mount.metrics.text(), content_type=CONTENT_TYPE_LATEST)

    @blueprint.get("/status")
    def status() -> Response:
        """Return the page that draws the figures. It has none itself: its script reads /metrics."""
        return _page("status.html", static=static)


def _add_page(blueprint: Blueprint, static: str) -> None:
    @blueprint.get("/")
    def index() -> Response:
        socket_path, sample_url = SOCKET_PATHS[0].lstrip("/"), f"{static}/{SAMPLE}"
        return _page("index.html", static=static, socket_path=socket_path, sample_url=sample_url)


def _page(name: str, **values: str) -> Response:
    """Return a page. All its URLs are relative: a proxy may strip a prefix that the app does not know."""
    # Not rendered by file name: Flask would prefer a template of the host app to the blueprint's.
    page = render_template_string(_template(name), **values)
    return Response(page, headers={"Content-Security-Policy": _PAGE_POLICY.format(host=request.host)})


@cache
def _template(name: str) -> str:
    return (assets_folder("templates") / name).read_text(encoding="utf-8")


def socket_view(mount: Mount, make_dialect: DialectFactory) -> Callable[[], Response]:
    """Return the view of a WebSocket route.

    :param make_dialect: creates the dialect of each connection.
    """
    config = mount.config

    def view() -> Response:
        chosen = request.args.to_dict()
        chosen.pop("token", None)
        visit = Visit(mount.admission, mount.quotas, request._get_current_object())  # type: ignore[attr-defined]
        with ExitStack() as stack:
            try:
                visit.enter(stack)
            except TranscriptionError as problem:
                mount.metrics.refused(problem)
                if "wsgi.websocket" not in request.environ:
                    raise
                visit.problem = problem  # gevent-websocket has answered the handshake already
            return _serve(mount, visit, make_dialect(chosen, config.stream))

    return view


def _serve(mount: Mount, visit: Visit, dialect: Dialect) -> Response:
    """Run a stream on the WebSocket of the present request, until it ends. Blocks."""
    config = mount.config
    parent = tracing.current()

    def transcribe(socket: Socket) -> None:
        arrivals = iter(socket.inbox)
        with ExitStack() as stack:
            identity = visit.introduce(arrivals, stack)
            parts = mount.backend.parts()
            listener = Listeners(
                mount.metrics.of_stream(),
                Reporter(mount.courier, identity),
                mount.quotas.meter(identity, socket.fail),
                stack.enter_context(tracing.stream_span(parent)),
            )
            stream = Stream(parts, dialect, send=socket.send, fail=socket.fail, listener=listener)
            with of_session(stream.name):
                log.info("%s: of %r at %s", stream.name, identity.name, identity.address)
            socket.set_deadline = stream.end_by
            stream.run(arrivals)

    def fail(problem: TranscriptionError) -> Failure:
        mount.metrics.failed(problem)
        return dialect.fail(problem, fatal=True)

    def converse(transport: Transport) -> None:
        socket = Socket(transport, transcribe, pulse=pulse, fail=fail)
        with mount.sockets.opened(socket):
            socket.run()

    limits = config.limits
    pulse = Pulse(limits.ping_interval_s, limits.idle_s, limits.max_messages_s)
    try:
        return serve(
            request.environ,
            converse,
            max_message_bytes=limits.max_message_bytes,
            send_timeout_s=limits.send_timeout_s,
            budget=mount.sockets.budget,
            subprotocol=SUBPROTOCOL,
        )
    except UnsupportedServer as problem:
        log.error("%s", problem)
        return refusal(InternalError("This server cannot serve live streams; its log says why."))

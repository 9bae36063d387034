"""The routes: the socket under its three names, health, and the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from flask import Blueprint, Response, jsonify, render_template_string, request

from whisper_service.config import Config, RawFormat
from whisper_service.errors import Draining
from whisper_service.live import Parts, Stream
from whisper_service.protocol.connection import Connection
from whisper_service.web.budget import ByteBudget
from whisper_service.web.handshake import serve
from whisper_service.web.socket import Conversation
from whisper_service.web.transport import Transport

#: The socket's paths: ours, and two that tutorials in circulation use.
SOCKET_PATHS = ("/transcribe", "/transcription", "/ws/transcribe")
#: On this path undeclared binary frames that are no known file are samples: a tutorial's client sends them.
_RAW_PATH = "/ws/transcribe"
#: The page's bundled sample, below the static folder.
SAMPLE = "samples/talk-00.flac"
#: The page loads nothing from elsewhere and runs nothing inline; RecordRTC makes its worker from a blob.
#: Older Safari does not take 'self' for a WebSocket.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; "
    "worker-src blob:; connect-src 'self' ws://{host} wss://{host}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


def assets_folder(name: str) -> Path:
    """Return the folder ``static`` or ``templates``: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


class Backend(Protocol):
    """What the routes need of the service; the extension makes it."""

    config: Config
    conversations: set[Conversation]
    budget: ByteBudget
    draining: bool

    def state(self) -> tuple[bool, str]:
        """Return whether streams are taken, and a word on why not."""

    def about(self) -> dict[str, Any]:
        """Return the name of the model and what its users should know, once it is loaded."""

    def parts(self) -> Parts:
        """Return what streams share; waits for the model."""


def create_blueprint(backend: Backend, *, name: str, url_prefix: str, page: bool) -> Blueprint:
    """Return the service's routes.

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
    for path in SOCKET_PATHS:
        blueprint.add_url_rule(
            path, f"socket{path.replace('/', '_')}", _socket_view(backend, path), websocket=True
        )

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @blueprint.get("/readyz")
    def readyz() -> tuple[Response, int]:
        ready, status = backend.state()
        return jsonify(status=status, **backend.about()), 200 if ready else 503

    if page:
        # Not by name: the host app's own index.html would win over the blueprint's.
        template = (assets_folder("templates") / "index.html").read_text(encoding="utf-8")

        @blueprint.get("/")
        def index() -> Response:
            # All addresses are relative to the page: a proxy may strip a prefix that nobody here knows.
            page = render_template_string(
                template,
                static=static,
                socket_path=SOCKET_PATHS[0].lstrip("/"),
                sample_url=f"{static}/{SAMPLE}",
            )
            return Response(page, headers={"Content-Security-Policy": _PAGE_POLICY.format(host=request.host)})

    return blueprint


def _socket_view(backend: Backend, path: str) -> Callable[[], Response]:
    undeclared = backend.config.raw_format or ("s16le" if path == _RAW_PATH else "")
    raw = RawFormat.of(undeclared) if undeclared else None

    def view() -> Response:
        chosen = request.args.to_dict()

        def work(conversation: Conversation) -> None:
            _transcribe(backend, conversation, chosen, raw)

        def converse(transport: Transport) -> None:
            conversation = Conversation(
                transport,
                work,
                ping_interval_s=backend.config.ping_interval_s,
            )
            if chosen.get("reply") == "text":
                conversation.explain = lambda problem: None
            backend.conversations.add(conversation)
            try:
                conversation.run()
            finally:
                backend.conversations.discard(conversation)

        return serve(
            request.environ,
            converse,
            max_message_bytes=backend.config.max_message_bytes,
            send_timeout_s=backend.config.send_timeout_s,
            budget=backend.budget,
        )

    return view


def _transcribe(
    backend: Backend, conversation: Conversation, chosen: dict[str, str], undeclared: RawFormat | None
) -> None:
    """Run one stream on its conversation. Blocks until it is over."""
    if backend.draining:
        raise Draining("The server is about to stop; connect again.")
    parts = backend.parts()
    settings = backend.config.stream_defaults().merged(chosen)
    connection = Connection(settings, languages=parts.languages)
    conversation.explain = connection.explain
    stream = Stream(
        parts,
        connection,
        send=conversation.send,
        fail=conversation.fail,
        undeclared=undeclared,
    )
    conversation.on_deadline = stream.end_by
    stream.run(conversation.inbox)

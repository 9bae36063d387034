"""The Flask extension: ``Transcriber(app)`` mounts the service in an app."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from flask import Flask, current_app

from whisper_service.cli import flask_commands
from whisper_service.config import Config
from whisper_service.metrics import Metrics
from whisper_service.protocol.resume import Tokens
from whisper_service.service import Service
from whisper_service.signals import Courier
from whisper_service.signing import signing_key
from whisper_service.tracing import trace_batch
from whisper_service.web.admission import Admission, Authenticate
from whisper_service.web.blueprint import DialectFactory, Mount, create_blueprint, socket_view
from whisper_service.web.hosting import check_server
from whisper_service.web.keys import KeyRing
from whisper_service.web.quotas import Quotas
from whisper_service.web.secrets import ClientSecrets
from whisper_service.web.sockets import Sockets

log = logging.getLogger(__name__)

#: Key in ``app.extensions``, and name of the blueprint and of the CLI group.
NAME = "whisper"


class _Mounted(NamedTuple):
    """The entry in ``app.extensions`` of an app with a Transcriber."""

    service: Service
    mount: Mount


class Transcriber:
    """Live transcription for a Flask app, over the WebSocket ``/transcribe``.

    ::

        app = Flask(__name__)
        Transcriber(app, url_prefix="/speech")

    The app must be served by gevent (``gunicorn -k gevent``, or gevent's own server). The model is loaded in
    the process that serves: at the first request to a WebSocket or to ``/readyz``, or by ``start``.

    Settings are the ``WHISPER_*`` keys of ``app.config`` and of the environment, which overrides
    ``app.config``. They are read once. ``docs/config.md`` and ``flask whisper settings`` list them.

    :param url_prefix: the prefix of all routes, such as ``/speech``.
    :param page: whether the page with the microphone is served at the prefix.
    :param authenticate: decides who may open a stream. It gets the request, and returns the name of the user,
        or None to refuse. It runs before the handshake, in the context of the request.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        url_prefix: str = "",
        page: bool = False,
        authenticate: Authenticate | None = None,
    ) -> None:
        self._url_prefix = url_prefix
        self._page = page
        self._authenticate = authenticate
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Mount the routes in ``app``. One object may serve several apps; each app has its own engine.

        :raises RuntimeError: if the app has a Transcriber already.
        :raises ConfigError: if a ``WHISPER_*`` key is unknown or its value is not accepted, or if the server
            that is about to serve the app cannot serve live streams.
        """
        if NAME in app.extensions:
            raise RuntimeError(
                "This app has a Transcriber already: use Transcriber.service(app), or mount a second one in "
                "an app of its own."
            )
        check_server()
        config = Config.from_mapping(app.config, os.environ)
        sockets = Sockets(config.limits.buffer_bytes)
        courier = Courier(app)
        metrics = Metrics()

        def on_batch(waits_s: Sequence[float], seconds: float) -> None:
            metrics.batch(waits_s, seconds)
            trace_batch(waits_s, seconds)

        service = Service(config, sockets, on_batch=on_batch, after_drain=courier.flush)
        key = signing_key(app, config.signing_key)
        tokens = Tokens(key, max_age_s=config.resume_max_age_s)
        secrets = ClientSecrets(key)
        file = config.access.keys_file
        keys = KeyRing(config.access.keys, Path(file) if file else None)
        admission = Admission(config.access, keys, secrets, self._authenticate)
        quotas = Quotas(config.limits)
        mount = Mount(config, service, sockets, tokens, admission, courier, metrics, quotas, secrets)
        app.extensions[NAME] = _Mounted(service, mount)
        app.register_blueprint(
            create_blueprint(mount, name=NAME, url_prefix=self._url_prefix, page=self._page)
        )
        app.cli.add_command(flask_commands)

    def start(self, app: Flask | None = None) -> None:
        """Start to load the model now. Call it in the process that serves, never before a fork.

        :param app: by default the current app.
        """
        self.service(app).start()

    def drain(self, app: Flask | None = None) -> None:
        """Refuse new streams. Make every open stream final and close it with 1012. Blocks.

        :param app: by default the current app.
        """
        self.service(app).drain()

    @staticmethod
    def warn_if_open(hosts: Iterable[str], app: Flask | None = None) -> None:
        """Write a warning into the log if anybody who reaches one of ``hosts`` may use the service.

        :param hosts: the addresses at which the app is served.
        :param app: by default the current app.
        """
        reachable = [host for host in hosts if not _is_loopback(host)]
        if reachable and _mounted(app or current_app).mount.admission.is_open:
            log.warning(
                "ANYBODY who reaches %s can use this service: there are no keys. Make one by 'flask whisper "
                "keys add', or pass authenticate= to Transcriber.",
                ", ".join(reachable),
            )

    def add_socket(self, path: str, make_dialect: DialectFactory, app: Flask | None = None) -> None:
        """Serve another protocol: add a WebSocket at ``path`` whose clients speak another dialect.

        :param path: the whole path; the prefix is not added.
        :param make_dialect: returns the dialect of a connection, see ``protocol.dialect.Dialect``.
        """
        app = app or current_app
        view = socket_view(_mounted(app).mount, make_dialect)
        app.add_url_rule(path, f"{NAME}{path.replace('/', '_')}", view, websocket=True)

    @staticmethod
    def service(app: Flask | None = None) -> Service:
        """Return the service of ``app``, by default of the current app.

        :raises RuntimeError: if the app has no Transcriber.
        """
        return _mounted(app or current_app).service


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _mounted(app: Flask) -> _Mounted:
    try:
        mounted: _Mounted = app.extensions[NAME]
    except KeyError:
        raise RuntimeError("This app has no Transcriber: call init_app(app) first.") from None
    return mounted

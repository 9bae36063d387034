"""Who may enter: decided before a WebSocket handshake is answered, and before any model time is spent."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Request

from whisper_service.config import Access
from whisper_service.errors import Forbidden, Unauthorized
from whisper_service.web.keys import KeyRing
from whisper_service.web.origins import is_allowed
from whisper_service.web.secrets import ClientSecrets

log = logging.getLogger(__name__)

#: A browser cannot set headers of a WebSocket, but it can offer subprotocols (RFC 6455, section 1.9): ours,
#: and one that is this prefix and a key. The server answers with ours.
SUBPROTOCOL = "transcribe"
_KEY_PROTOCOL = "token."
#: The longest credential that is looked at, in characters.
_LONGEST = 4_096
_TOKEN = re.compile(r"((?:^|[?&])token=)[^&#]*")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a stream belongs to.

    :param name: the name of the key, or what the app's own hook says; "" for anybody.
    :param address: the network address of the client.
    """

    name: str
    address: str


#: The hook of the app that mounts the service. It gets the request of a stream, and returns the name of its
#: user, or None to refuse it. It may also raise ``Forbidden`` with a reason for the user.
Authenticate = Callable[[Request], str | None]


class Admission:
    """Decides who may enter.

    :param authenticate: the app's own hook; None if it has none.
    """

    def __init__(
        self, access: Access, keys: KeyRing, secrets: ClientSecrets, authenticate: Authenticate | None = None
    ) -> None:
        self._access = access
        self._keys = keys
        self._secrets = secrets
        self._authenticate = authenticate

    @property
    def is_open(self) -> bool:
        """Whether anybody may enter, as far as keys and the app's hook are concerned."""
        return not self._keys.exists and self._authenticate is None

    def check_origin(self, request: Request) -> None:
        """Check the page from which a request comes.

        :raises Forbidden: if it may not use the service.
        """
        origin = request.headers.get("Origin")
        if is_allowed(
            origin,
            host=request.host,
            server_port=int(request.environ.get("SERVER_PORT") or 0),
            peer=request.remote_addr or "",
            allowed=self._access.origins,
        ):
            return
        log.warning(
            "a page of %.200r is refused at %.200r: WHISPER_ORIGINS is %s",
            origin,
            request.host,
            ",".join(self._access.origins),
        )
        raise Forbidden("Pages of this address may not use the service: its operator can allow it.")

    def admit(self, request: Request) -> Identity | None:
        """Return who has sent a request. None if its first message has to say so.

        :raises Forbidden: if its page may not use the service.
        :raises Unauthorized: if it has no credentials, or wrong ones.
        """
        credential = _credential_of(request)
        _hide_token(request.environ)
        self.check_origin(request)
        if self._authenticate is not None:
            name = self._authenticate(request)
            if name is not None:
                return Identity(name, self.address_of(request))
        if self.is_open:  # many clients always send a key
            return Identity("", self.address_of(request))
        if credential is not None:
            return self.identify(credential, request)
        if self._authenticate is not None:
            log.info("a visitor without a name is refused")
            raise Unauthorized("Log in first: this service is only for known users.")
        return None

    def admit_now(self, request: Request) -> Identity:
        """Return who has sent a request that must say so itself; see ``admit``."""
        visitor = self.admit(request)
        if visitor is None:
            log.info("a visitor without a key is refused")
            raise Unauthorized("This service needs a key.")
        return visitor

    def admit_with_key(self, request: Request) -> Identity:
        """Return who has sent a request, by its key alone: also where anybody may open a stream.

        :raises Unauthorized: if it has no key, or a wrong one.
        """
        credential = _credential_of(request)
        _hide_token(request.environ)
        if credential is None:
            raise Unauthorized("This needs an API key.")
        return self.identify(credential, request)

    def identify(self, credential: str, request: Request) -> Identity:
        """Return whose credential this is.

        :raises Unauthorized: if it opens nothing.
        """
        name = None
        if len(credential) <= _LONGEST:
            name = self._keys.name_of(credential) or self._secrets.name_of(credential)
        if name is None:
            log.info("a wrong key is refused")
            raise Unauthorized("This key is not known here, or too old.")
        return Identity(name, self.address_of(request))

    def address_of(self, request: Request) -> str:
        """Return the address of the client, which the outermost trusted proxy has noted.

        Each proxy adds the address of its own client at the end of ``X-Forwarded-For``. What stands before
        the entry of the first trusted proxy can be forged.
        """
        hops = self._access.proxy_hops
        noted = [
            part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()
        ]
        return noted[-min(hops, len(noted))] if hops and noted else request.remote_addr or ""


def first_credential(message: str | bytes) -> str | None:
    """Return the key in an ``auth`` message, or None if it is another message."""
    if not isinstance(message, str) or len(message) > 2 * _LONGEST:
        return None
    try:
        parsed = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict) or parsed.get("type") != "auth":
        return None
    token = parsed.get("token")
    return token if isinstance(token, str) else None


def _hide_token(environ: dict[str, Any]) -> None:
    """Take the key out of the address of a request, which servers write into their access logs."""
    for name in ("QUERY_STRING", "RAW_URI", "REQUEST_URI"):
        if name in environ:
            environ[name] = _TOKEN.sub(r"\1hidden", environ[name])


def _credential_of(request: Request) -> str | None:
    """Return the key that a request carries: in a header, as a subprotocol, or in its address."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token") and key.strip():
        return key.strip()
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if offered.strip().startswith(_KEY_PROTOCOL):
            return offered.strip().removeprefix(_KEY_PROTOCOL)
    return request.args.get("token")

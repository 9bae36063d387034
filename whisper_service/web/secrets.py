"""Client secrets: short-lived keys for browsers, which an app's own server asks for with its API key.

They are signed, and nothing is kept: any server with the same signing key takes them. The shape of the answer
is that of OpenAI's ``POST /v1/realtime/client_secrets``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from whisper_service.errors import BadMessage

PREFIX = "ek_"
_SHORTEST_S, _LONGEST_S, _USUAL_S = 10, 7_200, 600


class ClientSecrets:
    """Makes and checks client secrets.

    :param key: returns the key that signs them.
    :param clock: the time in seconds since the epoch.
    """

    def __init__(self, key: Callable[[], str], *, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock

    def make(self, name: str, seconds: int) -> dict[str, Any]:
        """Return a new secret with the time of its end.

        :param name: who the client then counts as.
        :param seconds: how long it can be used to enter.
        """
        expires_at = int(self._clock()) + seconds
        return {"value": PREFIX + self._serializer().dumps([name, expires_at]), "expires_at": expires_at}

    def answer(self, name: str, asked: Any) -> dict[str, Any]:
        """Return the answer to a request for a secret.

        :param asked: the body of the request, as JSON; None for none.
        :raises BadMessage: if it asks for a time that is too short or too long.
        """
        wanted = asked if isinstance(asked, dict) else {}
        expires = wanted.get("expires_after")
        seconds = expires.get("seconds", _USUAL_S) if isinstance(expires, dict) else _USUAL_S
        if type(seconds) is not int or not _SHORTEST_S <= seconds <= _LONGEST_S:
            raise BadMessage(f"expires_after.seconds is a whole number from {_SHORTEST_S} to {_LONGEST_S}.")
        return {**self.make(name, seconds), "session": wanted.get("session", {})}

    def name_of(self, secret: str) -> str | None:
        """Return who a secret stands for, or None if it is forged or too old."""
        if not secret.startswith(PREFIX):
            return None
        try:
            name, expires_at = self._serializer().loads(secret.removeprefix(PREFIX))
        except (BadData, ValueError, TypeError):
            return None
        return str(name) if self._clock() < expires_at else None

    def _serializer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self._key(), salt="whisper-service/client-secret")

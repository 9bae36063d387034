"""Tokens with which a stream goes on after a broken connection, on any server that has the same key.

A token holds everything that the next server needs, so no server keeps anything: the last checkpoint of the
stream and the finals since then. It is signed, so nobody can change it; it is not encrypted, because its
owner has the text anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace

from itsdangerous import BadData, URLSafeTimedSerializer

from whisper_service.audio.clock import Origin
from whisper_service.config import StreamSettings
from whisper_service.errors import BadToken
from whisper_service.events import Event, Final
from whisper_service.protocol.dialect import Checkpoint
from whisper_service.session.carry import Carry
from whisper_service.session.packing import pack, unpack

#: Increases with every change of the contents of a token.
_VERSION = 2
#: Settings that change how a client is told of its words, or how it sends its audio, but not the words.
_FREE = ("words", "interim", "full_transcript", "reply", "resumable", "format", "rate", "channels")


class Bookmark:
    """Follows a stream's events, and knows how another stream could go on now.

    :param checkpoint: the checkpoint at which the stream goes on, if it does.
    """

    def __init__(self, checkpoint: Checkpoint | None = None) -> None:
        self._last = checkpoint or Checkpoint(Carry())
        self._told = list(self._last.carry.told)

    def follow(self, event: Event | Checkpoint) -> None:
        """Take note of an event that the client is told of."""
        if isinstance(event, Final):
            self._told.append(event)
        elif isinstance(event, Checkpoint):
            if event.carry is not self._last.carry:
                self._told = list(event.carry.told)
            self._last = event

    @property
    def checkpoint(self) -> Checkpoint:
        """The last checkpoint, with all finals since then."""
        return replace(self._last, carry=replace(self._last.carry, told=tuple(self._told)))


class Tokens:
    """Writes and reads tokens.

    :param key: returns the key that signs them.
    :param max_age_s: older tokens are refused.
    """

    def __init__(self, key: Callable[[], str], *, max_age_s: int) -> None:
        self._key = key
        self._max_age_s = max_age_s

    def write(self, checkpoint: Checkpoint, model: str, settings: StreamSettings) -> str:
        """Return the token for a stream that goes on at ``checkpoint``.

        :param model: the name of the stream's model.
        :param settings: the stream's settings.
        """
        kind = _kind(model, settings)
        contents = [kind, checkpoint.stream, *checkpoint.origin, pack(checkpoint.carry)]
        return str(self._serializer().dumps(contents))

    def read(self, token: str, model: str, settings: StreamSettings) -> Checkpoint:
        """Return the checkpoint in a token.

        :raises BadToken: if it is forged, too old or of another version, or if its stream had another model
            or other settings.
        """
        try:
            contents = self._serializer().loads(token, max_age=self._max_age_s)
            kind, stream, sample, rate, position, carry = contents
        except (BadData, ValueError, TypeError) as problem:
            raise BadToken(f"This server cannot use the token ({problem}). The stream begins anew.") from None
        if kind != _kind(model, settings):
            raise BadToken(
                "The token is of a stream with another model or other settings, or of another version of "
                "this service. The stream begins anew."
            )
        return Checkpoint(unpack(carry), Origin(sample, rate, position), sample, stream)

    def _serializer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._key(), salt="whisper-service/resume")


def _kind(model: str, settings: StreamSettings) -> str:
    """Return a text that is the same if, and only if, version, model and settings are the same."""
    chosen = {name: value for name, value in asdict(settings).items() if name not in _FREE}
    return hashlib.sha256(repr((_VERSION, model, chosen)).encode()).hexdigest()[:16]

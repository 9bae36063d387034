"""One client that wants to open a stream: who it is, and its place among the streams of its user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from flask import Request
from gevent import Timeout

from whisper_service.errors import TranscriptionError, Unauthorized
from whisper_service.parts import Arrival
from whisper_service.web.admission import Admission, Identity, first_credential
from whisper_service.web.quotas import Quotas

#: How long a client that has no key in its request may take for its first message, in seconds.
_INTRODUCTION_S = 10.0


class Visit:
    """A request for a stream.

    :param request: the request itself, not Flask's stand-in for the present one.
    """

    def __init__(self, admission: Admission, quotas: Quotas, request: Request) -> None:
        self._admission = admission
        self._quotas = quotas
        self._request = request
        self._identity: Identity | None = None
        #: Why the client may not enter, if that is known only after the handshake.
        self.problem: TranscriptionError | None = None

    def enter(self, stack: ExitStack) -> None:
        """Let the client in, or leave it to its first message to say who it is. Call it before the handshake.

        :param stack: gives the place of the stream back.
        :raises TranscriptionError: if the client may not enter.
        """
        self._identity = self._admission.admit(self._request)
        if self._identity is not None:
            stack.enter_context(self._quotas.one_more(self._identity))

    def introduce(self, arrivals: Iterator[Arrival], stack: ExitStack) -> Identity:
        """Return who the client is, after the handshake. Blocks until its first message, if that is needed.

        :param arrivals: the messages of the client.
        :param stack: gives the place of the stream back.
        :raises TranscriptionError: if the client may not enter.
        """
        if self.problem is not None:
            raise self.problem
        if self._identity is None:
            self._identity = self._admission.identify(_first_key(arrivals), self._request)
            stack.enter_context(self._quotas.one_more(self._identity))
        return self._identity


def _first_key(arrivals: Iterator[Arrival]) -> str:
    """Return the key in the first message. Blocks.

    :raises Unauthorized: if the message has none, or does not come in time.
    """
    wanted = Unauthorized('Send {"type": "auth", "token": …} first: this service needs a key.')
    with Timeout(_INTRODUCTION_S, wanted):
        first = next(arrivals, None)
    credential = first_credential(first.data) if first is not None else None
    if credential is None:
        raise wanted
    return credential

"""The things around a stream: the parts that all streams share, what comes from a client, and who listens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from whisper_service.audio.stream import ContainerThreads
from whisper_service.capacity import Capacity
from whisper_service.engine.bridge import StreamEngine
from whisper_service.errors import TranscriptionError
from whisper_service.events import Account, Event
from whisper_service.hearing import StreamDetector


class Arrival(NamedTuple):
    """A message from a client.

    :param data: the payload, text or binary.
    :param at: the monotonic time at which the server received the message.
    :param held: whether the client was kept waiting before, because the server did not read.
    """

    data: str | bytes
    at: float
    held: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that all streams of an app share.

    :param speech_state: returns a new state of the speech detector, for a stream that needs the speech
        probabilities of the frames from a given one on.
    :param lead_in_start: returns the first sample that the detector then needs.
    :param containers: decodes container streams, each in a native thread of its own.
    :param capacity: decides whether one more stream can be served.
    :param in_thread: runs a function in a native thread and returns its result; blocks the greenlet.
    """

    engine: StreamEngine
    speech: StreamDetector
    speech_state: Callable[[int], Any]
    lead_in_start: Callable[[int], int]
    containers: ContainerThreads
    in_thread: Callable[[Callable[[], bytes]], bytes]
    max_message_bytes: int
    max_audio_samples: int
    grid_samples: int
    drain_timeout_s: float
    capacity: Capacity
    clock: Callable[[], float] = field(default=time.monotonic)


class Listener:
    """Follows a stream on the server's side. This one does nothing at any call. No call may block."""

    def opened(self, stream: str, *, resumed: bool) -> None:
        """Take note that the first audio has come, or that a stream goes on.

        :param stream: the name of the stream. It keeps it if it goes on over another connection.
        """

    def heard(self, stream: str, seconds: float) -> None:
        """Take note of audio."""

    def told(self, stream: str, event: Event, delay_s: float | None) -> None:
        """Take note of an event that the client is told of.

        :param delay_s: for text, how long ago its last sample has arrived, in seconds. None: nobody knows.
        """

    def failed(self, problem: TranscriptionError) -> None:
        """Take note of a problem that the client is told of, and that does not end the stream."""

    def closed(self, stream: str, *, seconds: float, account: Account | None) -> None:
        """Take note that the connection has ended.

        :param seconds: how much audio the stream has had from its beginning.
        :param account: the balance of all samples; None if the client has not ended the stream.
        """


class Listeners(Listener):
    """Several listeners as one."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def opened(self, stream: str, *, resumed: bool) -> None:
        """See ``Listener``."""
        for listener in self._listeners:
            listener.opened(stream, resumed=resumed)

    def heard(self, stream: str, seconds: float) -> None:
        """See ``Listener``."""
        for listener in self._listeners:
            listener.heard(stream, seconds)

    def told(self, stream: str, event: Event, delay_s: float | None) -> None:
        """See ``Listener``."""
        for listener in self._listeners:
            listener.told(stream, event, delay_s)

    def failed(self, problem: TranscriptionError) -> None:
        """See ``Listener``."""
        for listener in self._listeners:
            listener.failed(problem)

    def closed(self, stream: str, *, seconds: float, account: Account | None) -> None:
        """See ``Listener``."""
        for listener in self._listeners:
            listener.closed(stream, seconds=seconds, account=account)

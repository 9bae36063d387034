"""What a protocol is to this service: an object that turns frames into commands, and events into frames.

Each connection has a dialect of its own. A dialect does no I/O and knows neither sockets nor engines, so it
can be tested with plain calls. A new protocol is a new file with such a class, and a route
(``Transcriber.add_socket``).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from whisper_service.config import RawFormat, StreamSettings
from whisper_service.errors import TranscriptionError
from whisper_service.events import Event


class Frame(NamedTuple):
    """One WebSocket text frame for the client.

    :param replaces: the frame before it need not be sent if that one replaces others too and still waits.
        So a slow client gets fewer partials.
    """

    text: str
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Audio:
    """One slice as it came: the bytes, or their base64 text."""

    data: bytes | str


class Control(enum.Enum):
    """A command without data."""

    #: Make final what was said so far.
    FLUSH = "flush"
    #: Make everything final and end the stream.
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Answer:
    """The dialect answers a frame by itself, for instance a change of the settings."""

    frames: tuple[Frame, ...]


Command = Audio | Control | Answer


@dataclass(frozen=True, slots=True)
class Opening:
    """What the server tells a client about its new stream.

    :param stream: the name of the stream, which the server's log uses too.
    :param model: the name of the model.
    :param languages: codes that the model knows.
    :param warnings: sentences that every user of the model should see.
    """

    stream: str
    model: str
    languages: frozenset[str]
    max_message_bytes: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """How a client learns of a problem.

    :param frames: what is sent to it.
    :param close_code: the WebSocket close code, if the problem ends the stream.
    :param reason: the text beside the close code, at most 123 bytes.
    """

    frames: Sequence[Frame]
    close_code: int
    reason: str


class Dialect(Protocol):
    """The protocol of one connection."""

    @property
    def settings(self) -> StreamSettings:
        """The settings that the client has chosen so far."""

    @property
    def undeclared(self) -> RawFormat | None:
        """The format of binary frames that are no known file; None refuses them."""

    def ready(self, opening: Opening) -> Sequence[Frame]:
        """Return what tells the client that its stream is open. Comes before all that follows, once.

        :raises BadSetting: if the client has asked for something that the server does not have.
        """

    def receive(self, data: str | bytes) -> Sequence[Command]:
        """Return what a frame of the client asks for.

        :raises TranscriptionError: if the frame has no meaning. Unless the error is fatal the stream goes on.
        """

    def tell(self, event: Event) -> Sequence[Frame]:
        """Return what the client is told of an event."""

    def fail(self, problem: TranscriptionError, *, fatal: bool) -> Failure:
        """Return how the client learns of a problem. This may come before ``ready``.

        :param fatal: whether the stream ends with it.
        """

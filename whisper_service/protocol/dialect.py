"""The interface of a protocol: an object that turns frames into commands, and events into frames.

Each connection has a dialect of its own. A dialect does no I/O and knows neither sockets nor engines, so it
can be tested with plain calls. A new protocol needs a new file with such a class, and a route
(``Transcriber.add_socket``).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from whisper_service.audio.clock import Origin
from whisper_service.config import RawFormat, StreamSettings
from whisper_service.errors import TranscriptionError
from whisper_service.events import Event
from whisper_service.session.carry import Carry


class Frame(NamedTuple):
    """One WebSocket text message for the client.

    :param replaces: whether this frame replaces the one before it, if that one has ``replaces`` too and still
        waits to be sent. So a slow client gets fewer partials.
    """

    text: str
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Audio:
    """One slice of audio as the client sent it: the bytes, or their base64 text."""

    data: bytes | str


class Control(enum.Enum):
    """A command without data."""

    #: Make the text of all audio so far final.
    FLUSH = "flush"
    #: Make everything final and end the stream.
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place at which another stream can go on.

    :param carry: the state of the session there.
    :param origin: the place in the client's audio from which it must be sent again.
    :param received: how many samples of one channel the client has sent until now, at its own rate.
    :param stream: the name that the stream had on its first connection.
    """

    carry: Carry
    origin: Origin = Origin()
    received: int = 0
    stream: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The dialect's own answer to a frame, for instance to a greeting. The built-in dialects have none."""

    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on where another stream broke off. It must come before the first audio.

    :param checkpoint: the last checkpoint of that stream. Its carry has the finals since then.
    :param first: number of the client's sample with which its audio begins this time. Samples before the
        origin of the checkpoint are dropped; samples that are missing after it count as lost.
    """

    checkpoint: Checkpoint
    first: int

    @property
    def begin(self) -> Origin:
        """The place of the first sample that is not dropped."""
        origin = self.checkpoint.origin
        return origin if self.first <= origin.sample else origin.moved_to(self.first)

    @property
    def skipped(self) -> int:
        """How many of the client's samples are dropped, for each channel."""
        return self.begin.sample - self.first

    @property
    def missing(self) -> int:
        """How much audio is missing, in samples at 16 kHz."""
        return self.begin.position - self.checkpoint.origin.position


@dataclass(frozen=True, slots=True)
class Mark:
    """Tell the client when all audio before this command is final.

    :param name: the client's name for this place.
    """

    name: str | int


Command = Audio | Control | Answer | Resume | Mark


@dataclass(frozen=True, slots=True)
class Opening:
    """The information that a client gets about its new stream.

    :param stream: the name of the stream, which is also its name in the server's log.
    :param model: the name of the model.
    :param languages: codes of the languages that the model knows.
    :param warnings: sentences that every user of the model should see.
    """

    stream: str
    model: str
    languages: frozenset[str]
    max_message_bytes: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """The frames and the close code that tell a client about a problem.

    :param frames: the frames that are sent to the client.
    :param close_code: the WebSocket close code, if the problem ends the stream.
    :param reason: the text that goes with the close code, at most 123 bytes.
    """

    frames: Sequence[Frame]
    close_code: int
    reason: str


class Dialect(Protocol):
    """The protocol of one connection."""

    @property
    def settings(self) -> StreamSettings:
        """The server's defaults, with the settings that the client has chosen so far."""

    @property
    def undeclared(self) -> RawFormat | None:
        """The format of binary frames of no known file type; None refuses such frames."""

    def ready(self, opening: Opening) -> Sequence[Frame]:
        """Return the frames that tell the client that its stream is open.

        Called once, before ``receive`` and ``tell``.

        :raises BadSetting: if the client has chosen a setting that the server does not have or accept.
        """

    def receive(self, data: str | bytes) -> Sequence[Command]:
        """Return the commands in a frame from the client.

        :raises TranscriptionError: if the frame is not valid. The stream goes on unless the error is fatal.
        """

    def tell(self, event: Event | Checkpoint) -> Sequence[Frame]:
        """Return the frames that tell the client about an event.

        A ``Checkpoint`` comes with the first audio, after the last final of an utterance, and every 5 s. It
        has another carry than the one before if no final has come after that carry.
        """

    def fail(self, problem: TranscriptionError, *, fatal: bool) -> Failure:
        """Return the frames and the close code for a problem. May be called before ``ready``.

        :param fatal: whether the stream ends with it.
        """

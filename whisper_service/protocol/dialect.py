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
class Answer:
    """The dialect's own answer to a frame, for instance to a greeting. The built-in dialects have none."""

    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on where the utterances of another stream have ended. It must come before the first audio.

    The first sample of the audio is ``Carry.audio_from``, or the first one that the speech detector needs for
    ``Carry.frame``, whichever is earlier.
    """

    carry: Carry


Command = Audio | Control | Answer | Resume


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

    def tell(self, event: Event | Carry) -> Sequence[Frame]:
        """Return the frames that tell the client about an event.

        A ``Carry`` comes after the last final of an utterance. Another stream can go on from it.
        """

    def fail(self, problem: TranscriptionError, *, fatal: bool) -> Failure:
        """Return the frames and the close code for a problem. May be called before ``ready``.

        :param fatal: whether the stream ends with it.
        """

"""What a session has to tell its client. A leaf: everyone may import it.

Positions are samples on the stream's 16 kHz clock, which starts at its first sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whisper_service.engine.request import Word


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Someone began to speak at ``at``."""

    at: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The last speech of an utterance ended at ``at``."""

    at: int


@dataclass(frozen=True, slots=True)
class Partial:
    """What was probably said after the last final. It replaces the partial before."""

    text: str
    start: int
    end: int
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Final:
    """Text that is never taken back. The transcript is the join of all texts.

    :param number: counts the finals of the stream from 0.
    :param language: two-letter code of the language that was transcribed.
    """

    number: int
    text: str
    start: int
    end: int
    words: tuple[Word, ...]
    language: str


@dataclass(frozen=True, slots=True)
class KeywordSpotted:
    """A keyword of the client was heard, or was not after all.

    :param number: counts the hits of the stream from 0; a later event with the same number replaces this one.
    :param keyword: as the client wrote it.
    :param text: as it was heard.
    :param final: the words are final. Until then the hit may be retracted.
    :param retracted: the words went away. Nothing follows.
    """

    number: int
    keyword: str
    text: str
    start: int
    end: int
    final: bool
    retracted: bool


@dataclass(frozen=True, slots=True)
class Lag:
    """The transcript is ``behind_s`` seconds behind the audio; 0.0 when that is over."""

    behind_s: float


@dataclass(frozen=True, slots=True)
class Account:
    """Where every sample went: ``received = speech + silent + lost``."""

    received: int
    speech: int
    silent: int
    lost: int


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is final."""

    account: Account


Event = SpeechStarted | SpeechEnded | Partial | Final | KeywordSpotted | Lag | Done

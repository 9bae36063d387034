"""The events that a stream reports to its client. Every module may import this one: it imports none itself.

Positions are samples on the stream's 16 kHz clock, which starts at the first sample of the stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whisper_service.engine.request import Word


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at sample ``at``."""

    at: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The last speech of an utterance ended at sample ``at``."""

    at: int


@dataclass(frozen=True, slots=True)
class Partial:
    """The probable text after the last final. It replaces the previous partial."""

    text: str
    start: int
    end: int
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Final:
    """Text that is never taken back. The transcript is the concatenation of the texts of all finals.

    :param number: counts the finals of the stream from 0.
    :param language: code of the language in which the model decoded, such as ``en``.
    :param heard: the model had heard the stream up to this sample.
    """

    number: int
    text: str
    start: int
    end: int
    words: tuple[Word, ...]
    language: str
    heard: int


@dataclass(frozen=True, slots=True)
class KeywordSpotted:
    """A keyword of the client was recognised, or an earlier hit is retracted or confirmed.

    :param number: counts the hits of the stream from 0. A later event with the same number replaces this one.
    :param keyword: the keyword as the client wrote it.
    :param text: the words that were recognised.
    :param final: whether the words are final. Until then the hit may be retracted.
    :param retracted: whether the words have disappeared. No other event of this hit follows.
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
    """The transcript is ``behind_s`` seconds behind the audio; 0.0 if the lag is over."""

    behind_s: float


@dataclass(frozen=True, slots=True)
class Marked:
    """All audio before the client's mark ``name`` is final."""

    name: str | int


@dataclass(frozen=True, slots=True)
class Account:
    """The balance of all samples of a stream: ``received = speech + silent + lost``."""

    received: int
    speech: int
    silent: int
    lost: int


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is final."""

    account: Account


Event = SpeechStarted | SpeechEnded | Partial | Final | KeywordSpotted | Lag | Marked | Done

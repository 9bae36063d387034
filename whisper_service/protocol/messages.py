"""The messages of the native protocol. ``docs/protocol.md`` explains them; a test compares the two.

Times are seconds from the first sample of the stream.
"""

from __future__ import annotations

import json
from typing import Literal, NotRequired, TypedDict

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.engine.request import Word
from whisper_service.errors import Full, TranscriptionError
from whisper_service.events import (
    Done,
    Event,
    Final,
    KeywordSpotted,
    Lag,
    Marked,
    Partial,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.protocol.dialect import Checkpoint, Opening

#: Version of the protocol. It increases when clients have to change.
VERSION = 1


class LimitsMessage(TypedDict):
    """The limits on what a client may send."""

    max_message_bytes: int


class ReadyMessage(TypedDict):
    """The stream is open. This is the first message."""

    type: Literal["ready"]
    session: str
    version: int
    model: str
    language: str
    languages: list[str]
    limits: LimitsMessage
    warnings: list[str]


class ResumedMessage(TypedDict):
    """The stream goes on where another one broke off."""

    type: Literal["resumed"]
    replay_from: int
    rate: int
    next_id: int


class AckMessage(TypedDict):
    """How much audio has come, and from where it must be sent again after a broken connection."""

    type: Literal["ack"]
    received: int
    replay_from: int
    rate: int
    resume: str


class MarkMessage(TypedDict):
    """Everything before the client's mark is final."""

    type: Literal["mark"]
    id: str | int


class SpeechMessage(TypedDict):
    """Somebody has started or stopped speaking."""

    type: Literal["speech_started", "speech_ended"]
    at: float


class WordMessage(TypedDict):
    """One word of a partial or a final."""

    word: str
    start: float
    end: float
    probability: float


class PartialMessage(TypedDict):
    """Text that may still change."""

    type: Literal["partial"]
    text: str
    start: float
    end: float
    words: NotRequired[list[WordMessage]]


class FinalMessage(TypedDict):
    """Text that is never taken back."""

    type: Literal["final"]
    id: int
    text: str
    language: str
    start: float
    end: float
    words: NotRequired[list[WordMessage]]
    full_transcript: NotRequired[str]
    resume: NotRequired[str]


class KeywordMessage(TypedDict):
    """A keyword was heard, or an earlier hit is retracted or confirmed."""

    type: Literal["keyword"]
    id: int
    keyword: str
    text: str
    start: float
    end: float
    final: bool
    retracted: bool


class LagMessage(TypedDict):
    """The delay of the transcript behind the audio."""

    type: Literal["lag"]
    behind_s: float


class ErrorMessage(TypedDict):
    """Something went wrong. After a fatal error the socket closes."""

    type: Literal["error"]
    code: str
    message: str
    fatal: bool
    retry_after_s: NotRequired[int]


class DoneMessage(TypedDict):
    """Everything is final. This is the last message."""

    type: Literal["done"]
    received_samples: int
    speech_samples: int
    silent_samples: int
    lost_samples: int
    full_transcript: str


Message = (
    ReadyMessage
    | ResumedMessage
    | AckMessage
    | MarkMessage
    | SpeechMessage
    | PartialMessage
    | FinalMessage
    | KeywordMessage
    | LagMessage
    | ErrorMessage
    | DoneMessage
)


def seconds(samples: int) -> float:
    """Return a position on the 16 kHz clock in seconds, rounded to milliseconds."""
    return round(samples / SAMPLE_RATE, 3)


def ready(opening: Opening, *, language: str | None) -> ReadyMessage:
    """Return the first message of a stream.

    :param language: the code that the client has chosen, or None.
    """
    only = next(iter(opening.languages)) if len(opening.languages) == 1 else None
    return {
        "type": "ready",
        "session": opening.stream,
        "version": VERSION,
        "model": opening.model,
        "language": language or only or "auto",
        "languages": sorted(opening.languages),
        "limits": {"max_message_bytes": opening.max_message_bytes},
        "warnings": list(opening.warnings),
    }


def resumed(checkpoint: Checkpoint) -> ResumedMessage:
    """Return the message for a stream that goes on at ``checkpoint``."""
    carry, origin = checkpoint.carry, checkpoint.origin
    return {
        "type": "resumed",
        "replay_from": origin.sample,
        "rate": origin.rate,
        "next_id": carry.next_id + len(carry.told),
    }


def ack(checkpoint: Checkpoint, token: str) -> AckMessage:
    """Return the message of a checkpoint, with the token for it."""
    return {
        "type": "ack",
        "received": checkpoint.received,
        "replay_from": checkpoint.origin.sample,
        "rate": checkpoint.origin.rate,
        "resume": token,
    }


def error(problem: TranscriptionError, *, fatal: bool) -> ErrorMessage:
    """Return the message of a problem.

    :param fatal: whether the stream ends with it.
    """
    message: ErrorMessage = {
        "type": "error",
        "code": problem.code,
        "message": str(problem),
        "fatal": fatal,
    }
    if isinstance(problem, Full) and problem.retry_after_s is not None:
        message["retry_after_s"] = problem.retry_after_s
    return message


def of_event(event: Event, *, words: bool, transcript: str = "") -> Message:
    """Return the message of an event.

    :param words: whether the client has asked for the words of partials and finals.
    :param transcript: the text of all finals so far.
    """
    match event:
        case SpeechStarted(at) | SpeechEnded(at):
            begins = isinstance(event, SpeechStarted)
            return {"type": "speech_started" if begins else "speech_ended", "at": seconds(at)}
        case Lag(behind_s):
            return {"type": "lag", "behind_s": round(behind_s, 1)}
        case Partial():
            partial: PartialMessage = {
                "type": "partial",
                "text": event.text,
                "start": seconds(event.start),
                "end": seconds(event.end),
            }
            if words:
                partial["words"] = [_word(word) for word in event.words]
            return partial
        case Final():
            final: FinalMessage = {
                "type": "final",
                "id": event.number,
                "text": event.text,
                "language": event.language,
                "start": seconds(event.start),
                "end": seconds(event.end),
            }
            if words:
                final["words"] = [_word(word) for word in event.words]
            return final
        case KeywordSpotted():
            return {
                "type": "keyword",
                "id": event.number,
                "keyword": event.keyword,
                "text": event.text,
                "start": seconds(event.start),
                "end": seconds(event.end),
                "final": event.final,
                "retracted": event.retracted,
            }
        case Marked(name):
            return {"type": "mark", "id": name}
        case Done(account):
            return {
                "type": "done",
                "received_samples": account.received,
                "speech_samples": account.speech,
                "silent_samples": account.silent,
                "lost_samples": account.lost,
                "full_transcript": transcript,
            }


def encode(message: Message) -> str:
    """Return the text of a message's WebSocket frame."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _word(word: Word) -> WordMessage:
    return {
        "word": word.text,
        "start": seconds(word.start),
        "end": seconds(word.end),
        "probability": round(word.probability, 3),
    }

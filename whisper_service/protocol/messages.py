"""What travels over ``/transcribe``, as JSON text. ``docs/protocol.md`` explains it; a test compares the two.

Times are seconds from the first sample of the stream.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.engine.request import Word
from whisper_service.errors import TranscriptionError
from whisper_service.events import (
    Done,
    Event,
    Final,
    KeywordSpotted,
    Lag,
    Partial,
    SpeechEnded,
    SpeechStarted,
)

#: Version of the protocol; it grows when a client has to change.
VERSION = 1

Message = dict[str, Any]


def seconds(samples: int) -> float:
    """Return a position of the 16 kHz clock in seconds, to the millisecond."""
    return round(samples / SAMPLE_RATE, 3)


def ready(
    *,
    session: str,
    model: str,
    language: str | None,
    languages: Sequence[str],
    max_message_bytes: int,
    warnings: Sequence[str],
) -> Message:
    """The first message: the stream is open."""
    return {
        "type": "ready",
        "session": session,
        "version": VERSION,
        "model": model,
        "language": language or "auto",
        "languages": list(languages),
        "limits": {"max_message_bytes": max_message_bytes},
        "warnings": list(warnings),
    }


def error(problem: TranscriptionError) -> Message:
    """Something went wrong; where it is fatal the socket closes behind it."""
    return {"type": "error", "code": problem.code, "message": str(problem), "fatal": problem.fatal}


def of_event(event: Event, *, words: bool) -> Message:
    """Return the message of an event.

    :param words: whether the client has asked for the words of partials and finals.
    """
    match event:
        case SpeechStarted(at):
            return {"type": "speech_started", "at": seconds(at)}
        case SpeechEnded(at):
            return {"type": "speech_ended", "at": seconds(at)}
        case Lag(behind_s):
            return {"type": "lag", "behind_s": round(behind_s, 1)}
        case Partial():
            message = {"type": "partial", "text": event.text, "stable": event.stable}
            return message | _span(event, words=words)
        case Final():
            message = {"type": "final", "id": event.number, "text": event.text, "language": event.language}
            return message | _span(event, words=words)
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
        case Done(account, transcript):
            return {
                "type": "done",
                "received_samples": account.received,
                "speech_samples": account.speech,
                "silent_samples": account.silent,
                "lost_samples": account.lost,
                "full_transcript": transcript,
            }


def encode(message: Message) -> str:
    """Return the text frame of a message."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _span(event: Partial | Final, *, words: bool) -> Message:
    span: Message = {"start": seconds(event.start), "end": seconds(event.end)}
    if words:
        span["words"] = [_word(word) for word in event.words]
    return span


def _word(word: Word) -> Message:
    return {
        "word": word.text,
        "start": seconds(word.start),
        "end": seconds(word.end),
        "probability": round(word.probability, 3),
    }

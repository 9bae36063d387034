"""Messages on the wire, and the page that documents them."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from whisper_service import errors
from whisper_service.engine.request import Word
from whisper_service.events import (
    Account,
    Done,
    Event,
    Final,
    KeywordSpotted,
    Lag,
    Partial,
    SpeechEnded,
    SpeechStarted,
)
from whisper_service.protocol import messages
from whisper_service.protocol.dialect import Opening

WORD = Word(" hello", 16_000, 24_000, 23_000, 0.98765, (1,))
EVENTS: list[Event] = [
    SpeechStarted(16_000),
    SpeechEnded(24_000),
    Partial(" hello", 16_000, 24_000, (WORD,)),
    Final(3, " hello", 16_000, 24_000, (WORD,), "en", 32_000),
    Lag(2.34),
    Done(Account(received=100, speech=60, silent=30, lost=10)),
    KeywordSpotted(0, "hello", "hello", 16_000, 24_000, final=False, retracted=False),
]
DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()


def test_times_are_seconds() -> None:
    assert messages.of_event(SpeechStarted(24_008), words=False) == {"type": "speech_started", "at": 1.5}


def test_a_final() -> None:
    assert messages.of_event(EVENTS[3], words=False) == {
        "type": "final",
        "id": 3,
        "text": " hello",
        "language": "en",
        "start": 1.0,
        "end": 1.5,
    }


def test_words_only_when_asked_for() -> None:
    word = {"word": " hello", "start": 1.0, "end": 1.5, "probability": 0.988}
    for event in EVENTS[2:4]:
        assert "words" not in messages.of_event(event, words=False)
        assert messages.of_event(event, words=True)["words"] == [word]


def test_done_adds_up() -> None:
    message = messages.of_event(EVENTS[5], words=False)
    parts = [message[f"{part}_samples"] for part in ("speech", "silent", "lost")]
    assert message["received_samples"] == sum(parts) == 100


def test_an_error_carries_its_code_and_whether_it_is_the_end() -> None:
    assert messages.error(errors.TooSlow("Read!"), fatal=True) == {
        "type": "error",
        "code": "too_slow",
        "message": "Read!",
        "fatal": True,
    }


def test_text_stays_readable_on_the_wire() -> None:
    assert messages.encode({"type": "lag", "behind_s": 1.0}) == '{"type":"lag","behind_s":1.0}'
    final = messages.of_event(Final(0, " größer", 0, 1, (), "de", 1), words=False)
    assert '" größer"' in messages.encode(final)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_field_is_documented(event: Event) -> None:
    message = messages.of_event(event, words=True)
    row = next(line for line in DOCUMENT.splitlines() if line.startswith(f"| `{message['type']}`"))
    assert set(message) - {"type"} <= set(re.findall(r"`(\w+)\??`", row))


def test_ready_is_documented() -> None:
    message = messages.ready(Opening("s", "m", frozenset({"de", "en"}), 1), language=None)
    row = next(line for line in DOCUMENT.splitlines() if line.startswith("| `ready`"))
    assert set(message) - {"type"} <= set(re.findall(r"`(\w+)`", row))
    assert json.loads(messages.encode(message))["language"] == "auto"


def test_every_error_code_is_documented() -> None:
    codes = {
        kind.code
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.TranscriptionError)
    }
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCUMENT.split("## Errors")[1], flags=re.MULTILINE))
    assert codes == documented

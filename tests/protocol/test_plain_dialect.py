"""The plain-text dialect sends the text of finals and nothing else."""

from __future__ import annotations

import pytest

from whisper_service.config import StreamSettings
from whisper_service.errors import BadSetting, InternalError
from whisper_service.events import Account, Done, Event, Final, Lag, Partial, SpeechStarted
from whisper_service.protocol.dialect import Audio, Dialect, Frame, Opening
from whisper_service.protocol.dialects import of_transcribe


@pytest.fixture
def dialect() -> Dialect:
    return of_transcribe({"reply": "text", "vad_threshold": "0.3"}, StreamSettings())


def test_opening_says_nothing_and_checks_the_settings(dialect: Dialect) -> None:
    assert dialect.ready(Opening("s", "m", frozenset({"en"}), 1_000)) == ()
    assert dialect.settings.vad_threshold == 0.3
    with pytest.raises(BadSetting):
        of_transcribe({"reply": "text", "x": "1"}, StreamSettings()).ready(
            Opening("s", "m", frozenset(), 1_000)
        )


def test_a_final_is_its_text(dialect: Dialect) -> None:
    assert dialect.tell(Final(0, " Hello.", 0, 1, (), "en", 1)) == (Frame(" Hello."),)


@pytest.mark.parametrize(
    "event",
    [SpeechStarted(1), Partial(" a", 0, 1, ()), Lag(3.0), Done(Account(1, 1, 0, 0))],
    ids=lambda event: type(event).__name__,
)
def test_nothing_else_is_told(dialect: Dialect, event: Event) -> None:
    assert dialect.tell(event) == ()


def test_a_problem_is_its_close_code_alone(dialect: Dialect) -> None:
    failure = dialect.fail(InternalError("It failed."), fatal=True)
    assert (failure.frames, failure.close_code, failure.reason) == ((), 1011, "internal")


def test_frames_mean_what_they_mean_in_the_native_protocol(dialect: Dialect) -> None:
    assert dialect.receive(b"slice") == (Audio(b"slice"),)

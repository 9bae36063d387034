"""Beginnings and ends of utterances."""

from __future__ import annotations

import pytest

from whisper_service.audio.pcm import FRAME_SAMPLES
from whisper_service.session.endpoint import Began, Ended, Endpointer


def _push(endpointer: Endpointer, probabilities: list[float]) -> list[Began | Ended]:
    told = [
        endpointer.push(probability, (index + 1) * FRAME_SAMPLES)
        for index, probability in enumerate(probabilities)
    ]
    return [boundary for boundary in told if boundary is not None]


@pytest.fixture
def endpointer() -> Endpointer:
    return Endpointer(threshold=0.5, min_speech=3 * FRAME_SAMPLES, min_silence=4 * FRAME_SAMPLES)


def test_speech_begins_at_its_first_frame_once_it_is_long_enough(endpointer: Endpointer) -> None:
    assert _push(endpointer, [0, 0, 0.9, 0.9]) == []
    assert _push(endpointer, [0.9]) == [Began(2 * FRAME_SAMPLES)]


def test_short_noise_is_no_speech(endpointer: Endpointer) -> None:
    assert _push(endpointer, [0.9, 0.9, 0, 0, 0, 0, 0.9, 0.9, 0, 0, 0, 0]) == []


def test_a_pause_ends_speech_where_it_was_last_heard(endpointer: Endpointer) -> None:
    told = _push(endpointer, [0.9] * 5 + [0] * 4)
    assert told == [Began(0), Ended(5 * FRAME_SAMPLES)]


def test_a_short_pause_does_not_end_speech(endpointer: Endpointer) -> None:
    assert _push(endpointer, [0.9] * 5 + [0] * 3 + [0.9] * 5 + [0] * 3) == [Began(0)]


def test_speech_goes_on_a_little_below_the_threshold(endpointer: Endpointer) -> None:
    assert _push(endpointer, [0.4] * 9) == []
    assert _push(endpointer, [0.9, 0.4, 0.4] + [0.4] * 9) == [Began(0)]


def test_confirm_lets_the_shortest_speech_count(endpointer: Endpointer) -> None:
    _push(endpointer, [0, 0.9])
    assert endpointer.confirm() == Began(FRAME_SAMPLES)
    assert endpointer.confirm() is None


def test_confirm_in_silence_is_nothing(endpointer: Endpointer) -> None:
    assert endpointer.confirm() is None

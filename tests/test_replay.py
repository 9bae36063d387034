"""A talk through session, detector and model: its accuracy, and the promise that slices do not matter."""

from __future__ import annotations

from dataclasses import replace

import jiwer
import numpy as np
import pytest
from whisper.normalizers import EnglishTextNormalizer

from tests.conftest import Talk
from tests.fakes import cut_evenly, cut_randomly, done, finals
from whisper_service.config import StreamSettings
from whisper_service.engine.runner import Runner
from whisper_service.events import Event
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.replay import replay

_normalise = EnglishTextNormalizer()


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return SpeechDetector()


def _play(runner: Runner, detector: SpeechDetector, slices: list[np.ndarray]) -> list[Event]:
    settings = replace(StreamSettings(), interim=False)
    return list(
        replay(
            iter(slices),
            runner=runner,
            detector=detector,
            settings=settings,
            grid_samples=8_000,
        )
    )


@pytest.fixture(scope="module")
def whole(runner: Runner, detector: SpeechDetector, talk: Talk) -> list[Event]:
    """The events of the talk in slices of 500 ms."""
    return _play(runner, detector, cut_evenly(talk.pcm, 8_000))


def test_a_talk_is_transcribed_as_accurately_as_by_whisper_itself(whole: list[Event], talk: Talk) -> None:
    # whisper.transcribe of the whole file has a word error rate of 1.25 %.
    transcript = "".join(final.text for final in finals(whole))
    assert jiwer.wer(_normalise(talk.text), _normalise(transcript)) <= 0.0275


def test_every_sample_is_accounted_for(whole: list[Event], talk: Talk) -> None:
    account = done(whole).account
    assert account.received == talk.pcm.shape[0] == account.speech + account.silent + account.lost


def test_words_become_final_while_people_speak(whole: list[Event]) -> None:
    assert len(finals(whole)) > 20


@pytest.fixture(scope="module")
def half(runner: Runner, detector: SpeechDetector, talk: Talk) -> list[Event]:
    """The first half of the talk in slices of 500 ms."""
    return _play(runner, detector, cut_evenly(_half(talk), 8_000))


def _half(talk: Talk) -> np.ndarray:
    return talk.pcm[: talk.pcm.shape[0] // 2]


@pytest.mark.parametrize("cutting", ["20 ms", "3 s", "random"])
def test_finals_do_not_depend_on_slices(
    runner: Runner, detector: SpeechDetector, talk: Talk, half: list[Event], cutting: str
) -> None:
    slices = {
        "20 ms": cut_evenly(_half(talk), 320),
        "3 s": cut_evenly(_half(talk), 48_000),
        "random": cut_randomly(_half(talk), 7, 40_000),
    }[cutting]
    told = finals(_play(runner, detector, slices))
    assert len(told) > 8
    assert [(final.text, final.start, final.end) for final in told] == [
        (final.text, final.start, final.end) for final in finals(half)
    ]

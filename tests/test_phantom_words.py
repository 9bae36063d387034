"""Silence and noise give no text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import cut_evenly, done
from whisper_service.audio.decode import decode
from whisper_service.audio.resample import Resampler
from whisper_service.config import StreamSettings
from whisper_service.engine.runner import Runner
from whisper_service.events import Event, Final, Partial
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.replay import replay

RATE = 16_000
NOISES = sorted((Path(__file__).parent / "data" / "noise").glob("*.flac"))


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return SpeechDetector()


def _heard(runner: Runner, detector: SpeechDetector, pcm: np.ndarray) -> list[Event]:
    """Return all events that ever show text, as a partial or as a final."""
    settings = replace(StreamSettings(), interim=True)
    slices = iter(cut_evenly(pcm, RATE // 2))
    events = list(
        replay(
            slices,
            runner=runner,
            detector=detector,
            settings=settings,
            grid_samples=8_000,
        )
    )
    assert done(events).account.received == pcm.shape[0]
    return [event for event in events if isinstance(event, Partial | Final) and event.text]


@pytest.mark.parametrize("path", NOISES, ids=lambda path: path.stem)
def test_noise_is_no_speech(runner: Runner, detector: SpeechDetector, path: Path) -> None:
    decoded = decode(path.read_bytes())
    resampler = Resampler(decoded.rate)
    pcm = np.concatenate([resampler.resample(decoded.samples), resampler.flush()])
    assert _heard(runner, detector, pcm) == []


def test_digital_silence_is_no_speech(runner: Runner, detector: SpeechDetector) -> None:
    assert _heard(runner, detector, np.zeros(10 * RATE, np.float32)) == []


@pytest.mark.parametrize("level_db", [-60, -40, -20])
def test_two_minutes_of_white_noise_are_no_speech(
    runner: Runner, detector: SpeechDetector, level_db: int
) -> None:
    noise = np.random.default_rng(level_db + 100).standard_normal(120 * RATE) * 10 ** (level_db / 20)
    assert _heard(runner, detector, noise.astype(np.float32)) == []


def test_the_noises_are_there() -> None:
    assert len(NOISES) == 8

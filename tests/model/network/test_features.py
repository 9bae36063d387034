"""Spectrograms equal those of ``whisper.log_mel_spectrogram``, whether or not frames were kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import whisper
from whisper.audio import N_SAMPLES

from tests.conftest import Talk
from whisper_service.model.network.features import LogMel, WindowAudio

RATE = 16_000
CPU = torch.device("cpu")


def _reference(pcm: np.ndarray, n_mels: int = 80) -> torch.Tensor:
    spectrogram: torch.Tensor = whisper.log_mel_spectrogram(
        whisper.pad_or_trim(torch.from_numpy(pcm)), n_mels
    )
    return spectrogram


def _close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((found - expected).abs().max() < 1e-4)


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("samples", [0, 1, 150, 300, 399, 401, 5_000, 16_080, 100_003, 400_000])
def test_a_window_is_whispers(talk: Talk, samples: int, n_mels: int) -> None:
    pcm = talk.pcm[:samples]
    found = LogMel(n_mels=n_mels, device=CPU).windows([WindowAudio("a", 0, pcm)])
    assert found.shape == (1, n_mels, 3000) and _close(found[0], _reference(pcm, n_mels))


@pytest.mark.parametrize(
    "samples", [N_SAMPLES, N_SAMPLES - 1, N_SAMPLES - 41, N_SAMPLES - 199, N_SAMPLES - 500]
)
def test_a_full_window_is_whispers(talk: Talk, samples: int) -> None:
    pcm = np.resize(talk.pcm, samples)
    assert _close(LogMel(n_mels=80, device=CPU).windows([WindowAudio("a", 0, pcm)])[0], _reference(pcm))


def test_a_loud_window_does_not_change_a_quiet_one(talk: Talk) -> None:
    quiet, loud = talk.pcm[:RATE] * np.float32(0.001), talk.pcm[RATE : 4 * RATE]
    found = LogMel(n_mels=80, device=CPU).windows([WindowAudio("a", 0, quiet), WindowAudio("b", 0, loud)])
    assert _close(found[0], _reference(quiet)) and _close(found[1], _reference(loud))


def test_windows_that_grow_shrink_and_move_are_those_of_whole_ones(talk: Talk) -> None:
    features = LogMel(n_mels=80, device=CPU)
    dice = np.random.default_rng(0)
    start = 0
    for _ in range(60):
        if dice.random() < 0.2:
            # Half of the moves are by whole frames (160 samples), the others are not. Some go back.
            start = max(0, start + int(dice.integers(-100, 300)) * int(dice.choice([160, 37])))
        end = start + int(dice.integers(1, 12 * RATE))
        pcm = talk.pcm[start:end]
        found = features.windows([WindowAudio("a", start, pcm), WindowAudio("b", 0, talk.pcm[:700])])
        assert _close(found[0], _reference(pcm)) and _close(found[1], _reference(talk.pcm[:700]))


def test_only_new_frames_are_computed(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    features = LogMel(n_mels=80, device=CPU)
    computed: list[int] = []
    compute = features._compute
    monkeypatch.setattr(
        features, "_compute", lambda frames: computed.append(frames.shape[0]) or compute(frames)
    )
    features.windows([WindowAudio("a", 0, talk.pcm[: 8 * RATE])])
    features.windows([WindowAudio("a", 0, talk.pcm[: 8 * RATE + 8_000])])
    features.windows([WindowAudio("a", 320, talk.pcm[320 : 9 * RATE])])
    features.forget("a")
    features.windows([WindowAudio("a", 320, talk.pcm[320 : 9 * RATE])])
    # Windows two and three each need the 50 frames of the new half second, the 2 frames at the left edge, and
    # the few frames that overlapped the padding before. After `forget`, all frames are computed again.
    assert computed[0] > 800 and 50 <= computed[1] <= 56 and 50 <= computed[2] <= 56 and computed[3] > 890


def test_another_streams_audio_under_the_same_name_is_noticed(talk: Talk) -> None:
    features = LogMel(n_mels=80, device=CPU)
    features.windows([WindowAudio("a", 0, talk.pcm[: 5 * RATE])])
    other = talk.pcm[8 * RATE : 14 * RATE]
    assert _close(features.windows([WindowAudio("a", 0, other)])[0], _reference(other))


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whisper_service.model.network.features._STREAMS", 3)
    features = LogMel(n_mels=80, device=CPU)
    for number in range(10):
        features.windows([WindowAudio(f"stream {number}", 0, np.zeros(800, dtype=np.float32))])
    assert list(features._kept) == ["stream 7", "stream 8", "stream 9"]

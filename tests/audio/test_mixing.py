"""Channels are mixed to their average, unless they cancel each other."""

from __future__ import annotations

import numpy as np
import pytest

from whisper_service.audio.mixing import Downmix
from whisper_service.audio.pcm import Block

RATE = 8_000


def _tone(seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def _mixed(samples: np.ndarray, size: int = 1 << 20) -> np.ndarray:
    mixer = Downmix()
    return np.concatenate(
        [mixer.mix(Block(samples[at : at + size], RATE)) for at in range(0, len(samples), size)]
    )


def test_channels_are_averaged() -> None:
    assert _mixed(np.array([[0.5, 0.25], [1.0, -1.0]], np.float32)).tolist() == [0.375, 0.0]


def test_one_channel_passes_through() -> None:
    assert np.array_equal(_mixed(_tone()[:, None]), _tone())


def test_of_channels_that_cancel_each_other_one_is_taken() -> None:
    tone = _tone()
    mixed = _mixed(np.stack([tone, -tone], axis=1))
    assert not mixed[: RATE // 10].any()
    assert np.array_equal(mixed[RATE // 10 :], tone[RATE // 10 :])


def test_the_louder_one_is_taken() -> None:
    tone = _tone()
    mixed = _mixed(np.stack([-0.95 * tone, tone], axis=1))
    assert np.array_equal(mixed[RATE // 10 :], tone[RATE // 10 :])


def test_channels_that_cancel_each_other_no_more_are_averaged_again() -> None:
    tone = _tone()
    other = np.concatenate([-tone[: RATE // 2], tone[RATE // 2 :]])
    mixed = _mixed(np.stack([tone, other], axis=1))
    assert np.allclose(mixed[RATE // 10 :], tone[RATE // 10 :])


@pytest.mark.parametrize("size", [1, 37, 800, 801])
def test_how_it_is_cut_changes_nothing(size: int) -> None:
    """The size of the blocks does not change the result."""
    tone = _tone()
    samples = np.stack([tone, np.where(np.arange(RATE) < 3_000, tone, -tone)], axis=1)
    assert np.array_equal(_mixed(samples, size), _mixed(samples))


@pytest.mark.parametrize("channels", [2, 5, 32])
def test_voices_of_their_own_on_each_channel_are_all_kept(channels: int) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((RATE, channels)).astype(np.float32)
    assert np.allclose(_mixed(samples), samples.mean(axis=1), atol=1e-6)

import math

import numpy as np
import pytest
from scipy.signal import butter, resample_poly, sosfilt

from whisper_service.audio.resample import Resampler


def noise(rate: int, seconds: float) -> np.ndarray:
    """Return noise below 3 kHz, float32, shape ``(n,)``."""
    white = np.random.default_rng(1).standard_normal(round(rate * seconds))
    return (0.1 * sosfilt(butter(8, 3000, fs=rate, output="sos"), white)).astype(np.float32)


def whole(rate: int, samples: np.ndarray) -> np.ndarray:
    resampler = Resampler(rate)
    return np.concatenate([resampler.resample(samples), resampler.flush()])


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 48000, 96000])
def test_resample_in_random_slices_equals_the_whole_bit_for_bit(rate: int) -> None:
    samples = noise(rate, 2.0)
    cuts = np.sort(np.random.default_rng(2).integers(0, len(samples), 40))
    resampler = Resampler(rate)
    slices = [resampler.resample(piece) for piece in np.split(samples, cuts)]
    assert np.array_equal(np.concatenate([*slices, resampler.flush()]), whole(rate, samples))


@pytest.mark.parametrize(("rate", "up", "down"), [(8000, 2, 1), (44100, 160, 441), (48000, 1, 3)])
def test_resample_agrees_with_scipy(rate: int, up: int, down: int) -> None:
    samples = noise(rate, 3.0)
    ours, reference = whole(rate, samples), resample_poly(samples, up, down)
    assert np.corrcoef(ours, reference[: len(ours)])[0, 1] > 0.9999


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 48000, 96000])
def test_a_resampler_that_begins_anew_gives_the_same_samples_after_a_lead_in(rate: int) -> None:
    """A stream that continues elsewhere begins at an input sample that coincides with an output sample."""
    samples, phase = noise(rate, 2.0), rate // math.gcd(rate, 16_000)
    begin = rate // phase * phase
    anew = whole(rate, samples[begin:])
    expected = whole(rate, samples)[begin * 16_000 // rate :]
    lead_in = 32  # 2 ms
    assert len(anew) == len(expected) and np.array_equal(anew[lead_in:], expected[lead_in:])


@pytest.mark.parametrize("rate", [1000, 8000, 11025, 22050, 44100, 48000, 384000])
@pytest.mark.parametrize("count", [1, 7, 441, 10_007])
def test_resample_gives_the_expected_length(rate: int, count: int) -> None:
    assert len(whole(rate, np.zeros(count, np.float32))) == round(count * 16000 / rate)


def test_resample_does_not_drift_in_ten_minutes() -> None:
    second = noise(44100, 1.0)
    resampler = Resampler(44100)
    out = np.concatenate([*(resampler.resample(second) for _ in range(600)), resampler.flush()])
    assert len(out) == 600 * 16000
    assert np.abs(out[300 * 16000 : 301 * 16000] - out[598 * 16000 : 599 * 16000]).max() < 1e-5


def test_resample_holds_back_at_most_two_milliseconds() -> None:
    given = len(Resampler(48000).resample(np.zeros(4800, np.float32)))
    assert given >= 1600 - 32


def test_resample_at_16_khz_returns_the_samples_untouched() -> None:
    samples = noise(16000, 0.1)
    assert Resampler(16000).resample(samples) is samples


def test_resample_takes_empty_slices() -> None:
    assert len(Resampler(48000).resample(np.zeros(0, np.float32))) == 0


def test_flush_begins_a_new_stream() -> None:
    samples = noise(48000, 0.2)
    resampler = Resampler(48000)
    first = np.concatenate([resampler.resample(samples), resampler.flush()])
    second = np.concatenate([resampler.resample(samples), resampler.flush()])
    assert np.array_equal(first, second)


def test_flush_without_input_is_empty() -> None:
    assert len(Resampler(48000).flush()) == 0


def test_resampler_refuses_a_rate_of_zero() -> None:
    with pytest.raises(ValueError, match="rates must be positive"):
        Resampler(0)

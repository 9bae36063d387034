"""The rolling buffer."""

from __future__ import annotations

import numpy as np
import pytest

from whisper_service.session.buffer import RollingBuffer


def _ramp(start: int, end: int) -> np.ndarray:
    return np.arange(start, end, dtype=np.float32)


def test_reads_by_absolute_position_after_any_trims() -> None:
    dice, buffer = np.random.default_rng(0), RollingBuffer()
    for _ in range(300):
        size = int(dice.integers(0, 60_000))
        buffer.append(_ramp(buffer.end, buffer.end + size))
        start = int(dice.integers(buffer.start, buffer.end + 1))
        assert np.array_equal(buffer.read(start, buffer.end), _ramp(start, buffer.end))
        if dice.random() < 0.3:
            buffer.trim(start)
            assert buffer.start == start


def test_grows_for_a_backlog_and_shrinks_after_it() -> None:
    buffer = RollingBuffer()
    buffer.append(_ramp(0, 2_000_000))
    buffer.trim(1_999_000)
    assert np.array_equal(buffer.read(1_999_000, 2_000_000), _ramp(1_999_000, 2_000_000))
    assert buffer._data.nbytes == 4 * 480_000


@pytest.mark.parametrize(("start", "end"), [(0, 10), (5, 31), (12, 11), (31, 40)])
def test_refuses_what_it_does_not_hold(start: int, end: int) -> None:
    buffer = RollingBuffer()
    buffer.append(_ramp(0, 30))
    buffer.trim(5)
    with pytest.raises(IndexError):
        buffer.read(start, end)


def test_what_was_read_stays_as_it_is() -> None:
    buffer, dice, kept = RollingBuffer(), np.random.default_rng(1), []
    for _ in range(300):
        buffer.append(_ramp(buffer.end, buffer.end + int(dice.integers(1, 60_000))))
        start = int(dice.integers(buffer.start, buffer.end))
        kept.append((start, buffer.end, buffer.read(start, buffer.end)))
        buffer.trim(buffer.end - 200_000)
    for start, end, samples in kept[-20:] + kept[:20]:
        assert np.array_equal(samples, _ramp(start, end))


def test_a_long_stream_keeps_one_small_array() -> None:
    buffer = RollingBuffer()
    for end in range(8_000, 20_000_000, 8_000):
        buffer.append(_ramp(end - 8_000, end))
        buffer.trim(end - 400_000)
        assert buffer._data.shape[0] <= 808_000

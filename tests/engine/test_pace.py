"""The engine's pace: what a job takes now, and how busy jobs have kept it."""

from __future__ import annotations

import pytest

from whisper_service.engine.pace import Pace


def test_at_first_it_is_as_after_loading() -> None:
    assert Pace([(1, 0.1)]).job_s == pytest.approx(0.1)
    assert Pace([(1, 0.02), (64, 0.2)]).job_s == pytest.approx(0.2 / 64)


def test_it_follows_an_engine_that_becomes_slower_and_faster_again() -> None:
    pace = Pace([(1, 0.1), (2, 0.16)])
    for number in range(50):
        pace.note(2, 2, 0.48, number)
    assert pace.job_s == pytest.approx(0.24, rel=0.02)
    for number in range(50):
        pace.note(1, 1, 0.1, number)
    assert pace.job_s == pytest.approx(0.08, rel=0.02)


def test_small_batches_tell_of_large_ones() -> None:
    """Batches of any size at the speed of the beginning leave the estimate as it is."""
    pace = Pace([(1, 0.02), (64, 0.2)])
    for size in (1, 7, 30, 64):
        pace.note(size, size, 0.02 + 0.18 * (size - 1) / 63, 0.0)
    assert pace.job_s == pytest.approx(0.2 / 64)


def test_the_load_is_that_of_the_jobs_of_the_last_seconds() -> None:
    pace = Pace([(1, 0.1)])
    for second in range(20):
        pace.note(1, 1, 0.1, second)
        pace.note(1, 0, 0.1, second)  # a partial, which could be left out
    assert pace.load(19) == pytest.approx(0.11, rel=0.02)
    assert pace.load(24) == pytest.approx(0.06, rel=0.02)
    assert pace.load(40) == 0.0

"""How far a transcript is behind its audio, and when that is reported."""

from __future__ import annotations

from whisper_service.lag import LagMeter, LagNotice

RATE = 16_000


def test_nothing_waits_nothing_is_late() -> None:
    meter = LagMeter()
    assert meter.behind_s(0, 5.0) == 0.0
    meter.arrived(RATE, 10.0)
    assert meter.behind_s(RATE, 99.0) == 0.0


def test_audio_is_late_from_when_it_arrived() -> None:
    meter = LagMeter()
    for second in range(1, 6):
        meter.arrived(second * RATE, 100.0 + second)
    assert meter.behind_s(2 * RATE, 106.5) == 4.5


def test_a_burst_after_a_stall_is_due_when_it_comes() -> None:
    meter = LagMeter()
    meter.arrived(RATE, 101.0)
    meter.arrived(6 * RATE, 110.0)
    assert meter.behind_s(2 * RATE, 110.5) == 0.5


def test_a_file_sent_faster_than_it_plays_is_not_late() -> None:
    meter = LagMeter()
    for second in range(1, 61):
        meter.arrived(second * RATE, 100.0)
    assert meter.behind_s(10 * RATE, 105.0) == 0.0
    assert meter.behind_s(10 * RATE, 112.0) == 3.0


def test_a_client_that_was_kept_waiting_would_have_sent_in_real_time() -> None:
    meter = LagMeter()
    meter.arrived(RATE, 101.0)
    for second in range(2, 61):
        meter.arrived(second * RATE, 140.0, held=True)  # all at once, because the server had stopped reading
    assert meter.behind_s(20 * RATE, 141.0) == 21.0


def told(notice: LagNotice, *behind_s: float, step_s: float = 0.5) -> list[float]:
    """Return the lags that are reported if these are measured, one every ``step_s``."""
    messages = [notice.update(value, number * step_s) for number, value in enumerate(behind_s)]
    return [message for message in messages if message is not None]


def test_what_moves_around_the_limit_is_told_once() -> None:
    assert told(LagNotice(), *[1.9, 2.1] * 4) == [2.1]


def test_it_is_over_once_it_stays_low() -> None:
    """A lag is over once it has stayed below 1 s for 2 s."""
    low = [0.2] * 3
    assert told(LagNotice(), 2.5, *low, 1.5, *low, 1.5, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1) == [2.5, 0.0]


def test_as_long_as_it_lasts_it_is_told_again() -> None:
    """A lag is reported again every 5 s."""
    assert told(LagNotice(), *[3.0] * 25) == [3.0, 3.0, 3.0]


def test_the_end_of_the_stream_ends_it() -> None:
    """The end of a stream ends a reported lag once. Without a lag it reports nothing."""
    notice = LagNotice()
    assert not notice.end()
    notice.update(3.0, 0.0)
    assert notice.end() and not notice.end()

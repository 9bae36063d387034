"""How far a transcript is behind."""

from __future__ import annotations

from whisper_service.lag import LagMeter

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

"""Every sample is accounted for."""

from __future__ import annotations

from whisper_service.events import Account
from whisper_service.session.ledger import Ledger

NOTHING = Account(received=0, speech=0, silent=0, lost=0)


def test_what_is_neither_spoken_nor_lost_was_silent() -> None:
    ledger = Ledger(NOTHING)
    ledger.count_speech(100, 300)
    ledger.lose(500, 550)
    assert ledger.settle(1_000) == Account(received=1_000, speech=200, silent=750, lost=50)


def test_lost_samples_inside_of_speech_count_once() -> None:
    ledger = Ledger(NOTHING)
    ledger.lose(250, 350)
    ledger.count_speech(100, 300)
    ledger.count_speech(320, 400)
    assert ledger.settle(400) == Account(received=400, speech=200, silent=100, lost=100)


def test_a_balance_in_the_middle_is_where_the_next_one_begins() -> None:
    whole, half = Ledger(NOTHING), Ledger(NOTHING)
    for ledger in (whole, half):
        ledger.lose(250, 450)
        ledger.count_speech(100, 300)
    settled = half.settle(300)
    assert settled == Account(received=300, speech=150, silent=100, lost=50)
    later = Ledger(settled)
    later.lose(250, 450)  # reported again; only the samples from 300 on count
    for ledger in (whole, half, later):
        ledger.count_speech(400, 500)
    assert whole.settle(600) == half.settle(600) == later.settle(600)

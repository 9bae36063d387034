"""Every sample is accounted for."""

from __future__ import annotations

from whisper_service.events import Account
from whisper_service.session.ledger import Ledger


def test_what_is_neither_spoken_nor_lost_was_silent() -> None:
    ledger = Ledger()
    ledger.speak(100, 300)
    ledger.lose(500, 550)
    assert ledger.account(1_000) == Account(received=1_000, speech=200, silent=750, lost=50)


def test_lost_samples_inside_of_speech_count_once() -> None:
    ledger = Ledger()
    ledger.lose(250, 350)
    ledger.speak(100, 300)
    ledger.speak(320, 400)
    assert ledger.account(400) == Account(received=400, speech=200, silent=100, lost=100)

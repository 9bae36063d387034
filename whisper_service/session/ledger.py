"""Where every sample went."""

from __future__ import annotations

from whisper_service.events import Account


class Ledger:
    """Counts samples as transcribed, lost or (the rest) judged silent."""

    def __init__(self) -> None:
        self._speech = 0
        self._lost = 0
        self._lost_ranges: list[tuple[int, int]] = []

    def lose(self, start: int, end: int) -> None:
        """The samples stand in for audio that could not be decoded."""
        self._lost += end - start
        self._lost_ranges.append((start, end))

    def speak(self, start: int, end: int) -> None:
        """The samples belong to an utterance. Utterances come in order and do not overlap."""
        lost = sum(max(0, min(end, high) - max(start, low)) for low, high in self._lost_ranges)
        self._speech += end - start - lost
        self._lost_ranges = [(low, high) for low, high in self._lost_ranges if high > end]

    def account(self, received: int) -> Account:
        """Return the balance of a stream of ``received`` samples whose utterances are all closed."""
        silent = received - self._speech - self._lost
        return Account(received=received, speech=self._speech, silent=silent, lost=self._lost)

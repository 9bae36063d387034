"""Every sample is counted: as speech, which was transcribed, as silence, or as lost."""

from __future__ import annotations

from whisper_service.events import Account


class Ledger:
    """Counts the samples of speech and the lost ones; the rest is silence.

    :param account: the counts of all samples before the first one that this ledger sees.
    """

    def __init__(self, account: Account) -> None:
        self._settled = account
        self._speech = account.speech
        self._counted = account.received  # no speech is counted twice before this sample
        self._lost_ranges: list[tuple[int, int]] = []  # after the settled position

    def lose(self, start: int, end: int) -> None:
        """Count ``[start, end)`` as lost: the samples stand in for audio that could not be decoded."""
        start = max(start, self._settled.received)
        if start < end:
            self._lost_ranges.append((start, end))

    def count_speech(self, start: int, end: int) -> None:
        """Count ``[start, end)``, an utterance or a part of one, as speech, except lost samples.

        They come in order. Samples that are counted already are not counted again.
        """
        start = max(start, self._counted)
        if start < end:
            self._speech += end - start - self._lost(start, end)
            self._counted = end

    def settle(self, position: int) -> Account:
        """Return the counts of all samples before ``position``. All speech before it must be counted.

        If the ledger has begun after ``position``, they are those with which it has begun.
        """
        position = max(position, self._settled.received)
        lost = self._settled.lost + self._lost(self._settled.received, position)
        silent = position - self._speech - lost
        self._settled = Account(received=position, speech=self._speech, silent=silent, lost=lost)
        self._lost_ranges = [(max(low, position), high) for low, high in self._lost_ranges if high > position]
        return self._settled

    def _lost(self, start: int, end: int) -> int:
        return sum(max(0, min(end, high) - max(start, low)) for low, high in self._lost_ranges)

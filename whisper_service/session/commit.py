"""Which words of a hypothesis are certain: the commit policies."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Protocol

from whisper_service.engine.request import Word


class CommitPolicy(Protocol):
    """Looks at one answer of the grid after the other."""

    def agreed(self, words: Sequence[Word]) -> int:
        """Return how many of the first ``words`` become final.

        :param words: the newest hypothesis, behind what is final already. What this call returns is final
            from then on, and the next call's words begin behind it.
        """

    def reset(self) -> None:
        """Forget the hypotheses so far: the next one belongs to another utterance."""


class LocalAgreement:
    """LocalAgreement-2: final is what two hypotheses in a row begin with.

    Words are compared without case and punctuation, which flicker; the newer spelling counts. The last word
    of a hypothesis is never final: more audio may still lengthen it or change the mark behind it.

    Source: Liu et al. 2020, "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by Partial
    Hypothesis Selection"; Macháček et al. 2023, "Turning Whisper into Real-Time Transcription System".
    """

    def __init__(self) -> None:
        self._previous: list[str] = []

    def agreed(self, words: Sequence[Word]) -> int:
        current = [normalise(word.text) for word in words]
        count = 0
        for old, new in zip(self._previous, current[:-1], strict=False):
            if old != new:
                break
            count += 1
        self._previous = current[count:]
        return count

    def reset(self) -> None:
        self._previous = []


def normalise(text: str) -> str:
    """Return ``text`` without case, white space and punctuation."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())

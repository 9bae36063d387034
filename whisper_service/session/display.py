"""Chooses which of the words that may still change are shown.

A hypothesis ends in words that the model has half heard. If they were shown at once, a quarter of them would
be replaced half a second later, and nobody can read that. So a doubtful word waits until a second hypothesis
has it too, and a shown word stays until two hypotheses in a row agree on another word in its
place, or both end before it.
docs/quality.md has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from whisper_service.engine.request import Word
from whisper_service.session.commit import normalise

#: The least probability, 0…1, of a word that is shown. FIRST is for a word that is new in a hypothesis. LAST
#: is for a new word at the end of it, which may be half a word. AGAIN is for a word that two hypotheses have:
#: it is shown unless the model hardly believes it.
FIRST = 0.6
LAST = 0.9
AGAIN = 0.2


class Display:
    """Follows the hypotheses of a stream, one utterance after the other."""

    def __init__(self) -> None:
        self._shown: tuple[Word, ...] = ()
        self._before: list[str] = []  # the words of the last hypothesis, normalised

    def commit(self, words: Sequence[Word]) -> None:
        """Take note that ``words`` are final. The next hypothesis begins after them."""
        count = len(words)
        was_shown = _compared(self._shown[:count]) == _compared(words)
        self._shown = self._shown[count:] if was_shown else ()
        self._before = self._before[count:]

    def clear(self) -> None:
        """Take note that the utterance is over."""
        self._shown, self._before = (), []

    def update(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Return the words to show after the hypothesis ``words``."""
        heard, shown = _compared(words), _compared(self._shown)
        same = _common(heard, shown)
        again = _common(heard, self._before)
        if same < len(shown) and not self._is_said_twice(heard, same, again):
            self._shown = (*words[:same], *self._shown[same:])
        else:
            count = same
            while count < len(words) and self._is_worth_showing(words, count, again=count < again):
                count += 1
            self._shown = tuple(words[:count])
        self._before = heard
        return self._shown

    def _is_said_twice(self, heard: Sequence[str], at: int, again: int) -> bool:
        """Return whether the last two hypotheses have the same word at ``at``, or both end there."""
        return again > at or (again == at == len(heard) == len(self._before))

    def _is_worth_showing(self, words: Sequence[Word], index: int, *, again: bool) -> bool:
        if again:
            return words[index].probability >= AGAIN
        is_last = index == len(words) - 1
        return words[index].probability >= (LAST if is_last else FIRST)


def _compared(words: Sequence[Word]) -> list[str]:
    return [normalise(word.text) for word in words]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """Return the number of equal words with which both begin."""
    for count, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return count
    return min(len(left), len(right))

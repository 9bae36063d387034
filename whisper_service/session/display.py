"""What is shown of the words that may still change.

A hypothesis ends in words that the model has half heard. Shown at once, a quarter of them are replaced half a
second later, and nobody can read that. So a doubtful word waits until a second hypothesis has it too, and
what is shown stays until two hypotheses in a row have something else there. docs/quality.md has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from whisper_service.engine.request import Word
from whisper_service.session.commit import normalise

#: A word is shown the first time if it is this probable; the last one, which may be half a word, if it is
#: more so; and the second time unless the model hardly believes it. Probabilities, 0…1.
FIRST = 0.6
LAST = 0.9
AGAIN = 0.2


class Display:
    """Follows the hypotheses of one utterance after the other."""

    def __init__(self) -> None:
        self._shown: tuple[Word, ...] = ()
        self._before: list[str] = []  # the last hypothesis, as words are compared

    def commit(self, words: Sequence[Word]) -> None:
        """Take note that ``words`` are final, which the next hypothesis does not have any more."""
        count = len(words)
        was_shown = _compared(self._shown[:count]) == _compared(words)
        self._shown = self._shown[count:] if was_shown else ()
        self._before = self._before[count:]

    def clear(self) -> None:
        """Take note that the utterance is over."""
        self._shown, self._before = (), []

    def update(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Return what is shown after the hypothesis ``words``."""
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
        """Return whether the last two hypotheses have the same at ``at``, or both have nothing there."""
        return again > at or (again == at == len(heard) == len(self._before))

    def _is_worth_showing(self, words: Sequence[Word], index: int, *, again: bool) -> bool:
        if again:
            return words[index].probability >= AGAIN
        is_last = index == len(words) - 1
        return words[index].probability >= (LAST if is_last else FIRST)


def _compared(words: Sequence[Word]) -> list[str]:
    return [normalise(word.text) for word in words]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """Return how many words both begin with."""
    for count, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return count
    return min(len(left), len(right))

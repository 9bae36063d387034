"""Commit policies that the service does not have. They were tried for comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from whisper_service.engine.request import Word
from whisper_service.session.commit import Agreed, CommitPolicy, ConfidentAgreement, Rule, normalise


class InARow:
    """The words with which several hypotheses in a row begin become final.

    :param times: how many hypotheses must agree; 2 is LocalAgreement-2.
    """

    def __init__(self, times: int) -> None:
        self._times = times
        self._history: list[list[str]] = []

    def agreed(self, words: Sequence[Word], end: int) -> Agreed:
        """See ``CommitPolicy``."""
        self._history = [[normalise(word.text) for word in words], *self._history[: self._times - 1]]
        count = 0
        if len(self._history) == self._times:
            shortest = min([len(words) - 1, *map(len, self._history)])
            while count < shortest and len({said[count] for said in self._history}) == 1:
                count += 1
        self._history = [said[count:] for said in self._history]
        return Agreed(count)

    def reset(self) -> None:
        """See ``CommitPolicy``."""
        self._history = []


class WithoutAge(ConfidentAgreement):
    """An improbable word waits for a third hypothesis that has it, however old its audio is."""

    RULES = (Rule(2, 0.7, 4_800), Rule(3, 0.0, 9_600))


#: The policies by the names that ``bench_quality --policy`` accepts.
TRIED: dict[str, Callable[[], CommitPolicy]] = {
    "three_in_a_row": lambda: InARow(3),
    "confident_without_age": WithoutAge,
}

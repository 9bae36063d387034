"""Which words of a hypothesis are certain: the commit policies."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from whisper_service.engine.request import Word


class Agreed(NamedTuple):
    """What becomes final of a hypothesis.

    :param words: its first so many words.
    :param mark: with the mark after the last of them.
    """

    words: int
    mark: bool = True


class CommitPolicy(Protocol):
    """Looks at one answer of the grid after the other."""

    def agreed(self, words: Sequence[Word], end: int) -> Agreed:
        """Return how many of the first ``words`` become final.

        :param words: the newest hypothesis, behind what is final already. What this call returns is final
            from then on, and the next call's words begin behind it.
        :param end: the sample behind the last that was heard.
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

    def agreed(self, words: Sequence[Word], end: int) -> Agreed:
        current = [normalise(word.text) for word in words]
        count = 0
        for old, new in zip(self._previous, current[:-1], strict=False):
            if old != new:
                break
            count += 1
        self._previous = current[count:]
        return Agreed(count)

    def reset(self) -> None:
        self._previous = []


class AlignAtt:
    """Final is what the model reads off audio that lies well before the end of what it has heard.

    The first word that attends to the newest audio ends it: more audio may change that word, and all behind.

    :param margin: audio before the end that is too new, in samples.

    Source: Papi et al. 2023, "AlignAtt: Using Attention-based Audio-Translation Alignments as a Guide for
    Simultaneous Speech Translation". There decoding stops at that word; here the rest is shown as partial.
    """

    def __init__(self, margin: int = 8_000) -> None:
        self._margin = margin

    def agreed(self, words: Sequence[Word], end: int) -> Agreed:
        for count, word in enumerate(words):
            if word.attended > end - self._margin:
                return Agreed(count)
        return Agreed(len(words))

    def reset(self) -> None:
        """Nothing is remembered."""


class Rule(NamedTuple):
    """A word is certain when so many hypotheses in a row say it, and the newest is sure enough of it.

    :param times: how many hypotheses.
    :param probability: of the word in the newest one, at least.
    :param age: how long before the end of the audio it was read off, at least, in samples.
    """

    times: int
    probability: float
    age: int


class ConfidentAgreement:
    """Final is what hypotheses in a row agree on: two where the model is sure of a word, else three.

    How probable a word is says best whether the model will still change it: see docs/quality.md. No word
    waits for a third hypothesis for long, or improbable ones would hold up all that follow. The last word of
    a hypothesis is never final.

    Marks and capitals are read off what comes after them, so they come late: two hypotheses must write a word
    and the mark before it in the same way. The mark after the last word may stay open; it is final with the
    next word.
    """

    RULES: tuple[Rule, ...] = (
        Rule(2, 0.7, 4_800),
        Rule(3, 0.0, 9_600),
        Rule(2, 0.3, 24_000),
        Rule(2, 0.0, 32_000),
    )
    #: Hypotheses in a row that write a mark in the same way, or that say the same word however they write it.
    _WRITTEN_TIMES = 2
    _SAID_TIMES = 4

    def __init__(self) -> None:
        self._history: list[
            list[_Said]
        ] = []  # the newest hypotheses, without what is final; the newest first

    def agreed(self, words: Sequence[Word], end: int) -> Agreed:
        self._history = [_as_said(words), *self._history[: self._SAID_TIMES - 1]]
        count = 0
        for index, word in enumerate(words[:-1]):
            if not self._is_certain(index, word, end - word.attended):
                break
            count += 1
        mark = count == 0 or self._times(count, written=True) >= self._WRITTEN_TIMES
        self._history = [said[count:] for said in self._history]
        return Agreed(count, mark)

    def reset(self) -> None:
        self._history = []

    def _is_certain(self, index: int, word: Word, age: int) -> bool:
        times = self._times(index)
        if not any(
            times >= rule.times and word.probability >= rule.probability and age >= rule.age
            for rule in self.RULES
        ):
            return False
        return times >= self._SAID_TIMES or self._times(index, written=True) >= self._WRITTEN_TIMES

    def _times(self, index: int, *, written: bool = False) -> int:
        """Return how many hypotheses in a row have the newest one's word at ``index``."""
        wanted = self._history[0][index]
        times = 0
        for said in self._history:
            if index >= len(said) or said[index].word != wanted.word:
                break
            if written and said[index].written != wanted.written:
                break
            times += 1
        return times


class _Said(NamedTuple):
    """A word of a hypothesis.

    :param word: as it is compared.
    :param written: with its capitals and with the mark before it.
    """

    word: str
    written: str


def _as_said(words: Sequence[Word]) -> list[_Said]:
    marks = ["", *(word.mark for word in words)]
    return [
        _Said(normalise(word.text), (mark + word.bare.text).replace(" ", ""))
        for word, mark in zip(words, marks, strict=False)
    ]


#: By the name of the setting ``policy``.
POLICIES: dict[str, Callable[[], CommitPolicy]] = {
    "confident_agreement": ConfidentAgreement,
    "local_agreement": LocalAgreement,
    "align_att": AlignAtt,
}


def normalise(text: str) -> str:
    """Return ``text`` without case, white space and punctuation."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())

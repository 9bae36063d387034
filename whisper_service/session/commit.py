"""The commit policies: they decide which words of a hypothesis become final."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from whisper_service.engine.request import Word


class Agreed(NamedTuple):
    """The part of a hypothesis that becomes final.

    :param words: how many of its first words become final.
    :param mark: whether the punctuation mark after the last of these words becomes final too.
    """

    words: int
    mark: bool = True


class CommitPolicy(Protocol):
    """Takes the hypotheses of the grid one after the other and decides which words become final."""

    def agreed(self, words: Sequence[Word], end: int) -> Agreed:
        """Return how many of the first ``words`` become final.

        :param words: the newest hypothesis, without the words that are final already. The next call's words
            begin after those that this call makes final.
        :param end: the sample after the last one that the model has heard.
        """

    def reset(self) -> None:
        """Forget the hypotheses so far: the next one does not continue them."""


class LocalAgreement:
    """LocalAgreement-2: the words with which two hypotheses in a row begin become final.

    Words are compared without case and punctuation, because these flicker. The newer spelling counts. The
    last word of a hypothesis never becomes final: more audio may lengthen it or change the mark after it.

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
    """Words that the model reads off audio well before the end of the window become final.

    The first word that attends to the newest audio does not, nor do the words after it: more audio may change
    them.

    :param margin: how much audio at the end of the window is too new, in samples.

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
        """Do nothing: this policy remembers no hypotheses."""


class Rule(NamedTuple):
    """One way for a word to be certain: all three conditions must hold.

    :param times: the least number of hypotheses in a row that have the word.
    :param probability: the least probability of the word in the newest hypothesis.
    :param age: the least distance from the audio that the word was read off to the end of the window, in
        samples.
    """

    times: int
    probability: float
    age: int


class ConfidentAgreement:
    """Words become final if hypotheses in a row agree: two if the model is sure of a word, else three.

    The probability of a word tells best whether the model will still change it: see docs/quality.md. No word
    waits long for a third hypothesis: otherwise improbable words would hold up all words after them. The last
    word of a hypothesis never becomes final.

    The model chooses marks and capitals by the words after them, so they settle late. Therefore two
    hypotheses must write a word and the mark before it in the same way, or four must have the word. The mark
    after the last final word may stay open. It becomes final with the next word.
    """

    RULES: tuple[Rule, ...] = (
        Rule(2, 0.7, 4_800),
        Rule(3, 0.0, 9_600),
        Rule(2, 0.3, 24_000),
        Rule(2, 0.0, 32_000),
    )
    #: How many hypotheses in a row must write a word and the mark before it in the same way, or else must
    #: have the same word, however they write it.
    _WRITTEN_TIMES = 2
    _SAID_TIMES = 4

    def __init__(self) -> None:
        # The newest hypotheses without their final words, the newest first.
        self._history: list[list[_Said]] = []

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
        """Return how many hypotheses in a row, from the newest back, have the newest one's word at ``index``.

        :param written: whether its capitals and the mark before it must be the same too.
        """
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
    """A word of a hypothesis in the two forms that are compared.

    :param word: without case and punctuation.
    :param written: with its capitals and with the mark before it.
    """

    word: str
    written: str


def _as_said(words: Sequence[Word]) -> list[_Said]:
    marks = ["", *(word.mark for word in words)]
    return [
        _Said(normalise(word.text), (mark + word.without_mark.text).replace(" ", ""))
        for word, mark in zip(words, marks, strict=False)
    ]


#: The policies by the value of the setting ``policy``.
POLICIES: dict[str, Callable[[], CommitPolicy]] = {
    "confident_agreement": ConfidentAgreement,
    "local_agreement": LocalAgreement,
    "align_att": AlignAtt,
}


def normalise(text: str) -> str:
    """Return ``text`` without case, white space and punctuation."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())

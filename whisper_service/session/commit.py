"""Which words of a hypothesis are certain: the commit policies."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Protocol

from whisper_service.engine.request import Word


class CommitPolicy(Protocol):
    """Looks at one answer of the grid after the other."""

    def agreed(self, words: Sequence[Word], end: int) -> int:
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

    def agreed(self, words: Sequence[Word], end: int) -> int:
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


class AlignAtt:
    """Final is what the model reads off audio that lies well before the end of what it has heard.

    The first word that attends to the newest audio ends it: more audio may change that word, and all behind.

    :param margin: audio before the end that is too new, in samples.

    Source: Papi et al. 2023, "AlignAtt: Using Attention-based Audio-Translation Alignments as a Guide for
    Simultaneous Speech Translation". There decoding stops at that word; here the rest is shown as partial.
    """

    def __init__(self, margin: int = 8_000) -> None:
        self._margin = margin

    def agreed(self, words: Sequence[Word], end: int) -> int:
        for count, word in enumerate(words):
            if word.attended > end - self._margin:
                return count
        return len(words)

    def reset(self) -> None:
        """Nothing is remembered."""


class AgreementOrAge:
    """Final is what two hypotheses agree on, or what is probable and was read off audio that is old enough.

    Agreement needs no trust in the model but waits for the next hypothesis; age needs none. The last word may
    agree too, if the model does not read it off the very end, where more audio may lengthen it.

    :param fresh: audio before the end of which even agreement says nothing, in samples.
    :param age: how far behind the end a word lies that needs no agreement, in samples.
    :param probability: what such a word needs at least.
    """

    def __init__(self, *, fresh: int = 1_600, age: int = 9_600, probability: float = 0.5) -> None:
        self._fresh = fresh
        self._age = age
        self._probability = probability
        self._previous: list[str] = []

    def agreed(self, words: Sequence[Word], end: int) -> int:
        current = [normalise(word.text) for word in words]
        agreeing, count = True, 0
        for index, word in enumerate(words):
            agreeing = agreeing and current[index : index + 1] == self._previous[index : index + 1]
            agrees = agreeing and word.attended <= end - self._fresh
            is_old = word.attended <= end - self._age and word.probability >= self._probability
            if not (agrees or is_old):
                break
            count += 1
        self._previous = current[count:]
        return count

    def reset(self) -> None:
        self._previous = []


#: By the name of the setting ``policy``.
POLICIES: dict[str, Callable[[], CommitPolicy]] = {
    "local_agreement": LocalAgreement,
    "align_att": AlignAtt,
    "agreement_or_age": AgreementOrAge,
}


def normalise(text: str) -> str:
    """Return ``text`` without case, white space and punctuation."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())

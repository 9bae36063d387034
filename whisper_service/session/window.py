"""The state of the utterance that is being transcribed: where its window begins, and its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from whisper_service.engine.request import Word
from whisper_service.session.context import Context
from whisper_service.session.lookback import Part


def text_of(words: Sequence[Word]) -> str:
    """Return the text that the words spell."""
    return "".join(word.text for word in words)


def tokens_of(words: Sequence[Word]) -> tuple[int, ...]:
    """Return the tokens that spell the words."""
    return tuple(token for word in words for token in word.tokens)


class Heard(NamedTuple):
    """The positions of the grid, ascending, at which the model has heard the window from ``start``."""

    start: int = 0
    positions: tuple[int, ...] = ()

    def at(self, position: int) -> Heard:
        """Return this with ``position`` as the last one."""
        known = self.positions[-1:] == (position,)
        return self if known else Heard(self.start, (*self.positions, position))


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An utterance that has been cut in mid-speech: the state that it has right after the cut.

    :param start: its first sample.
    :param asked: the position of its last job. The next one is later.
    :param last_speech: end of the last frame of speech, of those before frame ``Carry.frame``.
    :param words: its final words after the cut.
    :param without_context: whether requests leave out prompt and context, because these have misled the
        model.
    """

    start: int
    asked: int
    last_speech: int
    words: tuple[Word, ...]
    without_context: bool


class Window:
    """The window over one utterance: the look-back, then the utterance, or its part after the last cut.

    :param utterance: first sample of the utterance.
    :param context: the text before the utterance.
    """

    def __init__(self, utterance: int, context: Context) -> None:
        self.utterance = utterance
        #: First sample of the part that this window transcribes: the utterance's, or that of the last cut.
        self.own_start = utterance
        #: The text before that part.
        self.own_context = context
        #: Final words of that part.
        self.final_words: list[Word] = []
        #: The words after them, from the newest hypothesis of the grid.
        self.hypothesis: tuple[Word, ...] = ()
        #: Keywords in the answers to requests without the prompt: the model has heard them here.
        self.confirmed: frozenset[str] = frozenset()
        #: Whether requests leave out prompt, context and look-back, because these have misled the model here.
        self.without_context = False
        #: The position up to which the hypothesis is the last one if the utterance ends there; None if it is
        #: not, or if it is doubtful.
        self.complete: int | None = None
        self._look_back: tuple[Part, ...] = ()

    @classmethod
    def after_cut(cls, unfinished: Unfinished, at: int, context: Context) -> Window:
        """Return the window of an utterance that was cut at sample ``at``.

        :param context: the text before ``at``.
        """
        window = cls(unfinished.start, context)
        window.own_start = at
        window.final_words = list(unfinished.words)
        window.without_context = unfinished.without_context
        return window

    @property
    def start(self) -> int:
        """The first sample of the window."""
        return self._look_back[0].start if self._look_back else self.own_start

    @property
    def context(self) -> Context:
        """The text before the window."""
        return self._look_back[0].context if self._look_back else self.own_context

    @property
    def looks_back(self) -> bool:
        """Whether the window begins with earlier utterances, which the model hears once more."""
        return bool(self._look_back)

    @property
    def prefix(self) -> tuple[int, ...]:
        """The tokens of the final words, those of the look-back first."""
        earlier = (token for part in self._look_back for token in part.tokens)
        return (*earlier, *tokens_of(self.final_words))

    @property
    def draft(self) -> tuple[int, ...]:
        """The tokens of the words that may follow the prefix."""
        return tokens_of(self.hypothesis)

    def begin_with(self, parts: Sequence[Part]) -> None:
        """Begin the window with ``parts``, which lie before its own part and are heard once more."""
        self._look_back = tuple(parts)

    def drop_context(self) -> None:
        """Leave out prompt, context and look-back in all later requests on this window."""
        self.without_context = True
        self.begin_with(())

    def cut(self, at: int, words: int, context: Context) -> Part:
        """Begin anew at sample ``at``, without the first ``words`` final words.

        :param context: the text before ``at``.
        :returns: the part before ``at``.
        """
        left = Part(self.own_start, tokens_of(self.final_words[:words]), self.own_context)
        self.own_start, self.own_context = at, context
        self.final_words = self.final_words[words:]
        self.complete, self.confirmed = None, frozenset()
        self._look_back = ()
        return left

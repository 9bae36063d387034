"""The stretch of audio that is being transcribed."""

from __future__ import annotations

from collections.abc import Sequence

from whisper_service.engine.request import Word
from whisper_service.session.context import Context
from whisper_service.session.lookback import Part


def text_of(words: Sequence[Word]) -> str:
    """Return what the words spell."""
    return "".join(word.text for word in words)


class Window:
    """The window over one utterance: the look-back, and the utterance or what a cut has left of it.

    :param utterance: first sample of the utterance.
    :param context: what stands before the utterance.
    """

    def __init__(self, utterance: int, context: Context) -> None:
        self.utterance = utterance
        #: First sample of the part that this window transcribes: the utterance's, or that of the last cut.
        self.own_start = utterance
        #: What stands before that part.
        self.own_context = context
        #: Final words of that part.
        self.committed: list[Word] = []
        #: Words after them, by the newest answer of the grid.
        self.hypothesis: tuple[Word, ...] = ()
        #: Keywords that the model has heard here without the prompt that holds them.
        self.confirmed: frozenset[str] = frozenset()
        #: The window is asked without prompt, context and look-back, which have led the model astray here.
        self.bare = False
        self._look_back: tuple[Part, ...] = ()

    @property
    def start(self) -> int:
        """The first sample of the window."""
        return self._look_back[0].start if self._look_back else self.own_start

    @property
    def context(self) -> Context:
        """What stands before the window."""
        return self._look_back[0].context if self._look_back else self.own_context

    @property
    def looks_back(self) -> bool:
        """Whether the window hears earlier utterances once more."""
        return bool(self._look_back)

    @property
    def prefix(self) -> tuple[int, ...]:
        """Tokens of the final words, those of the look-back first."""
        earlier = [word for part in self._look_back for word in part.words]
        return tuple(token for word in (*earlier, *self.committed) for token in word.tokens)

    @property
    def draft(self) -> tuple[int, ...]:
        """Tokens of the words that may follow."""
        return tuple(token for word in self.hypothesis for token in word.tokens)

    def look_back(self, parts: Sequence[Part]) -> None:
        """Let the window hear ``parts``, which lie before its own, once more."""
        self._look_back = tuple(parts)

    def ask_bare(self) -> None:
        """Have the window asked without everything that stands before it."""
        self.bare = True
        self._look_back = ()

    def cut(self, at: int, words: int, context: Context) -> Part:
        """Begin anew at sample ``at``; the first ``words`` committed words stay behind.

        :param context: what stands before ``at``.
        :returns: what is left behind.
        """
        left = Part(self.own_start, tuple(self.committed[:words]), self.own_context)
        self.own_start, self.own_context = at, context
        self.committed = self.committed[words:]
        self._look_back = ()
        return left

"""The stretch of audio that is being transcribed: one utterance, or what a cut has left of it."""

from __future__ import annotations

from whisper_service.engine.request import Word


class Window:
    """What is known of a window so far.

    :param utterance: first sample of the utterance.
    """

    def __init__(self, utterance: int) -> None:
        self.utterance = utterance
        #: First sample of the window: that of the utterance, or of what the last cut has left.
        self.start = utterance
        #: Words of the window that are final.
        self.committed: list[Word] = []
        #: Words behind them, by the newest answer of the grid.
        self.hypothesis: tuple[Word, ...] = ()
        #: Keywords that the model has heard here without the prompt that holds them.
        self.confirmed: frozenset[str] = frozenset()
        #: Asked without prompt and context, which have led the model astray here.
        self.bare = False

    @property
    def prefix(self) -> tuple[int, ...]:
        """Tokens of the final words."""
        return tuple(token for word in self.committed for token in word.tokens)

    @property
    def draft(self) -> tuple[int, ...]:
        """Tokens of what may follow."""
        return tuple(token for word in self.hypothesis for token in word.tokens)

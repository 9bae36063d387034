"""What one window of a batch is asked, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """What one window is asked.

    :param head: prompt and start sequence.
    :param sot: where in ``head`` the start-of-transcript token is.
    :param prefix: text tokens that stand already.
    :param draft: what the text behind them may be, at most ``budget`` tokens.
    :param budget: most tokens behind the prefix.
    :param timestamps: whether the text has them.
    :param beam_size: texts that are followed at once; 1 is greedy.
    :param fallback: draw texts where the likeliest has gone wrong.
    """

    head: list[int]
    sot: int
    prefix: list[int]
    draft: list[int]
    budget: int
    timestamps: bool = False
    beam_size: int = 1
    fallback: bool = False

    @property
    def longest(self) -> int:
        """The most tokens that the sequence can come to."""
        return len(self.head) + len(self.prefix) + self.budget

    @property
    def chooses(self) -> int:
        """The position that chooses the first token behind the prefix."""
        return len(self.head) + len(self.prefix) - 1


@dataclass(slots=True)
class Decoded:
    """One sequence's text behind its prefix.

    :param tokens: without the end of the text.
    :param logprobs: of each of them.
    :param end_logprob: of the token behind them: the end of the text, or what the budget has cut off.
    :param no_speech_probability: Whisper's own estimate that the window holds no speech.
    :param attention: of the alignment heads from the start of transcript on, ``(A, n, n_audio_ctx)`` each;
        the row of a position is that with which the token behind it was chosen.
    """

    tokens: list[int]
    logprobs: list[float]
    end_logprob: float
    no_speech_probability: float
    attention: list[Tensor] = field(repr=False)

    @property
    def average_logprob(self) -> float:
        """Mean log-probability of the tokens and what ends them, as Whisper has it."""
        return (sum(self.logprobs) + self.end_logprob) / (len(self.tokens) + 1)


def room_of(sequences: Sequence[TokenSequence]) -> int:
    """Return the room that a cache for these sequences needs, padding included."""
    return max(sequence.longest for sequence in sequences) + 1

"""The input and the result of the decoder for one window of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """The input of the decoder for one window.

    :param head: the prompt, the context and the start sequence.
    :param sot_index: the index of the start-of-transcript token in ``head``.
    :param prefix: text tokens that are already fixed.
    :param draft: a guess of the text after the prefix, at most ``budget`` tokens.
    :param budget: the largest number of tokens after the prefix.
    :param must_speak: whether the text after the prefix must have a letter or a digit.
    :param timestamps: whether the text has timestamp tokens.
    :param beam_size: the number of texts that are followed at once; 1 is greedy decoding.
    """

    head: list[int]
    sot_index: int
    prefix: list[int]
    draft: list[int]
    budget: int
    must_speak: bool = False
    timestamps: bool = False
    beam_size: int = 1

    @property
    def longest(self) -> int:
        """The largest number of tokens that the sequence can have."""
        return len(self.head) + len(self.prefix) + self.budget

    @property
    def last_fixed(self) -> int:
        """The position whose hidden state chooses the first token after the prefix."""
        return len(self.head) + len(self.prefix) - 1


@dataclass(slots=True)
class Decoded:
    """The text of one sequence after its prefix.

    :param tokens: the tokens of the text, without the end-of-text token.
    :param logprobs: the log-probability of each token.
    :param end_logprob: the log-probability of the next token: the end-of-text token, or the token that the
        budget has cut off.
    :param no_speech_probability: Whisper's own estimate that the window holds no speech.
    :param attention: the attention of the alignment heads from the start-of-transcript token on, in pieces of
        ``(A, n, n_audio_ctx)``. The row of a position is the attention with which the token after it was
        chosen.
    """

    tokens: list[int]
    logprobs: list[float]
    end_logprob: float
    no_speech_probability: float
    attention: list[Tensor] = field(repr=False)

    @property
    def average_logprob(self) -> float:
        """The mean log-probability of the tokens and the token after them, as Whisper computes it."""
        return (sum(self.logprobs) + self.end_logprob) / (len(self.tokens) + 1)


def capacity_for(sequences: Sequence[TokenSequence]) -> int:
    """Return how many tokens per row a cache for these sequences must hold.

    One position more is for the padding of finished rows.
    """
    return max(sequence.longest for sequence in sequences) + 1

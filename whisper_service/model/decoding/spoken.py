"""The decoded tokens of a window that are words, and how well they fit its audio."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, cat

from whisper_service.model.decoding.alignment import token_scores
from whisper_service.model.decoding.sequence import Decoded


@dataclass(frozen=True, slots=True)
class Spoken:
    """The tokens of a window that are words. Timestamps are not words.

    :param tokens: the tokens after the prefix.
    :param logprobs: the log-probability of each token.
    :param scores: how well each token of prefix and text, and the end of the text, fits each frame, on the
        device: ``(n_prefix + n_tokens + 1, frames)``; None if there are no words.
    """

    tokens: list[int]
    logprobs: list[float]
    scores: Tensor | None


def spoken(decoded: Decoded, *, prefix: int, frames: int, eot: int) -> Spoken:
    """Return the tokens of ``decoded`` that are words.

    :param prefix: the number of tokens of the prefix.
    :param frames: the number of frames of 20 ms that hold audio.
    :param eot: the end-of-text token. All special tokens and timestamps come after it.
    """
    # The attention of the steps that wrote timestamps does not time any word.
    places = [at for at, token in enumerate(decoded.tokens) if token < eot]
    if not places:
        return Spoken([], [], None)
    attention, count = cat(decoded.attention, dim=1), len(decoded.tokens)
    first = attention.shape[1] - prefix - count - 1
    if len(places) < count:
        kept = [*range(first + prefix), *(first + prefix + at for at in [*places, count])]
        attention = attention[:, kept]
    return Spoken(
        [decoded.tokens[at] for at in places],
        [decoded.logprobs[at] for at in places],
        token_scores(attention, first=first, frames=frames),
    )

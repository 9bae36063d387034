"""Decoding with chance: several texts are drawn for each window, the likeliest is taken.

Source: ``GreedyDecoder`` with a temperature and ``best_of``, and ``MaximumLikelihoodRanker``, in
whisper/decoding.py of openai-whisper 20250625.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from whisper_service.model.decoding.greedy import decode_greedily
from whisper_service.model.decoding.sampler import Pick, Sampler
from whisper_service.model.decoding.sequence import Decoded, TokenSequence
from whisper_service.model.network.cache import DecoderCache

#: Texts that are drawn for a window (``best_of`` of Whisper's command line).
_DRAWN = 5


def sample(
    sampler: Sampler, cache: DecoderCache, sequences: Sequence[TokenSequence], *, temperature: float
) -> list[Decoded]:
    """Return the likeliest of five texts that are drawn for each sequence.

    :param cache: empty, with at least ``room_of(sequences)``; is not touched.
    :param temperature: above 0; logits are divided by it.
    """
    origins = [index for index in range(len(sequences)) for _ in range(_DRAWN)]
    drawn = decode_greedily(
        sampler,
        cache.copied(origins),
        [replace(sequences[index], draft=[]) for index in origins],
        pick=_dice(temperature),
    )
    groups = [drawn[begin : begin + _DRAWN] for begin in range(0, len(drawn), _DRAWN)]
    return [max(group, key=_likelihood) for group in groups]


def _likelihood(text: Decoded) -> float:
    return (sum(text.logprobs) + text.end_logprob) / max(1, len(text.tokens))


def _dice(temperature: float) -> Pick:
    """Return what picks a token with its probability (the Gumbel-max trick).

    How the dice fall depends on which of its window's texts this is, and on its length, not on what shares
    its batch: the transcript stays a function of the samples.
    """

    def pick(logits: Tensor, where: Sequence[tuple[int, int]]) -> Tensor:
        noise = [_gumbel(sequence % _DRAWN, length, logits.shape[-1]) for sequence, length in where]
        return (logits / temperature + torch.stack(noise).to(logits.device)).argmax(dim=-1)

    return pick


def _gumbel(number: int, length: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(number * 1000 + length)
    return -torch.empty(size).exponential_(generator=generator).log()

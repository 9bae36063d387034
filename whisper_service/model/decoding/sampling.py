"""Decoding by sampling: several texts are sampled for each window, and the most probable one is returned.

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

#: The number of texts that are sampled for each window (``best_of`` of Whisper's command line).
_DRAWN = 5


def sample(
    sampler: Sampler, cache: DecoderCache, sequences: Sequence[TokenSequence], *, temperature: float
) -> list[Decoded]:
    """Return, for each sequence, the most probable of five sampled texts.

    :param cache: an empty cache with the capacity of ``capacity_for(sequences)``. It is not changed.
    :param temperature: the divisor of the logits, above 0.
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
    """Return a function that samples a token by its probability (the Gumbel-max trick).

    The random numbers depend on the index of the text within its window and on its length, but not on the
    other windows of the batch. So the transcript depends only on the audio samples.
    """

    def pick(logits: Tensor, where: Sequence[tuple[int, int]]) -> Tensor:
        noise = [_gumbel(sequence % _DRAWN, length, logits.shape[-1]) for sequence, length in where]
        return (logits / temperature + torch.stack(noise).to(logits.device)).argmax(dim=-1)

    return pick


def _gumbel(number: int, length: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(number * 1000 + length)
    return -torch.empty(size).exponential_(generator=generator).log()

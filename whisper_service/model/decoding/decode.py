"""Decoding of windows: each greedily or by beam search, as its request asks."""

from __future__ import annotations

from collections.abc import Sequence

from whisper_service.model.decoding.beam import search
from whisper_service.model.decoding.greedy import decode_greedily
from whisper_service.model.decoding.sampler import Sampler
from whisper_service.model.decoding.sequence import Decoded, TokenSequence
from whisper_service.model.network.cache import DecoderCache


def decode(sampler: Sampler, cache: DecoderCache, sequences: Sequence[TokenSequence]) -> list[Decoded]:
    """Return the decoded text of each sequence, with the sequence's own beam size.

    :param cache: an empty cache with the capacity of ``capacity_for(sequences)``. Do not use it afterwards.
    """
    sizes = {sequence.beam_size for sequence in sequences}
    if sizes == {1}:
        return decode_greedily(sampler, cache, sequences)
    results: dict[int, Decoded] = {}
    for size in sizes:
        same = [index for index, sequence in enumerate(sequences) if sequence.beam_size == size]
        copy, some = cache.copied(same), [sequences[index] for index in same]
        found = decode_greedily(sampler, copy, some) if size == 1 else search(sampler, copy, some, size=size)
        results |= zip(same, found, strict=True)
    return [results[index] for index in range(len(sequences))]

"""Decoding of windows: greedily or by beam search, and by sampling where that has failed.

Source: ``decode_with_fallback`` in whisper/transcribe.py of openai-whisper 20250625. Whisper runs the encoder
again for every temperature; here all attempts share the encoder's output.
"""

from __future__ import annotations

from collections.abc import Sequence

from whisper.utils import compression_ratio

from whisper_service.model.decoding.beam import search
from whisper_service.model.decoding.greedy import decode_greedily
from whisper_service.model.decoding.sampler import Sampler
from whisper_service.model.decoding.sampling import sample
from whisper_service.model.decoding.sequence import Decoded, TokenSequence
from whisper_service.model.network.cache import DecoderCache

_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
#: Whisper's defaults. A text with a higher compression ratio repeats itself. A text with a lower average
#: log-probability has failed; but if the no-speech probability is also above ``_NO_SPEECH``, the window holds
#: no speech, and there is no fallback.
_COMPRESSION_RATIO = 2.4
_LOGPROB = -1.0
_NO_SPEECH = 0.6


def decode(sampler: Sampler, cache: DecoderCache, sequences: Sequence[TokenSequence]) -> list[Decoded]:
    """Return the decoded text of each sequence, with the sequence's own beam size and fallback.

    :param cache: an empty cache with the capacity of ``capacity_for(sequences)``. Do not use it afterwards.
    """
    if all(sequence.beam_size == 1 and not sequence.fallback for sequence in sequences):
        return decode_greedily(sampler, cache, sequences)
    results: dict[int, Decoded] = {}
    for size in {sequence.beam_size for sequence in sequences}:
        same = [index for index, sequence in enumerate(sequences) if sequence.beam_size == size]
        found = _decode_surely(sampler, cache.copied(same), [sequences[i] for i in same], size)
        results |= zip(same, found, strict=True)
    for temperature in _TEMPERATURES:
        failed = [
            i for i, sequence in enumerate(sequences) if sequence.fallback and _failed(sampler, results[i])
        ]
        if failed:
            again = sample(
                sampler, cache.copied(failed), [sequences[i] for i in failed], temperature=temperature
            )
            results |= zip(failed, again, strict=True)
    return [results[index] for index in range(len(sequences))]


def _decode_surely(
    sampler: Sampler, cache: DecoderCache, sequences: Sequence[TokenSequence], size: int
) -> list[Decoded]:
    return (
        decode_greedily(sampler, cache, sequences)
        if size == 1
        else search(sampler, cache, sequences, size=size)
    )


def _failed(sampler: Sampler, result: Decoded) -> bool:
    improbable = result.average_logprob < _LOGPROB
    if improbable and result.no_speech_probability > _NO_SPEECH:
        return False
    text = sampler.vocabulary.text(result.tokens)
    return improbable or (bool(text) and compression_ratio(text) > _COMPRESSION_RATIO)

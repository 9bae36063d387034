"""How windows are decoded: greedily or by beams, and with chance where that has failed.

Source: ``decode_with_fallback`` in whisper/transcribe.py of openai-whisper 20250625, which runs the encoder
again for every temperature; here all attempts share what it said.
"""

from __future__ import annotations

from collections.abc import Sequence

from whisper.utils import compression_ratio

from whisper_service.model.beam import search
from whisper_service.model.cache import DecoderCache
from whisper_service.model.greedy import decode_greedily
from whisper_service.model.passes import Passes
from whisper_service.model.row import Decoded, Row
from whisper_service.model.sampling import sample

_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
#: Text that compresses better than this repeats itself; less probable text than that has gone wrong, or there
#: was nothing to hear (Whisper's defaults).
_COMPRESSION_RATIO = 2.4
_LOGPROB = -1.0
_NO_SPEECH = 0.6


def decode(passes: Passes, cache: DecoderCache, rows: Sequence[Row]) -> list[Decoded]:
    """Return what each row says, decoded as the row wants.

    :param cache: empty, with at least ``room_of(rows)``; used up by this call.
    """
    if all(row.beam_size == 1 and not row.fallback for row in rows):
        return decode_greedily(passes, cache, rows)
    results: dict[int, Decoded] = {}
    for size in {row.beam_size for row in rows}:
        same = [index for index, row in enumerate(rows) if row.beam_size == size]
        found = _decode_surely(passes, cache.copied(same), [rows[i] for i in same], size)
        results |= zip(same, found, strict=True)
    for temperature in _TEMPERATURES:
        failed = [i for i, row in enumerate(rows) if row.fallback and _failed(passes, results[i])]
        if failed:
            again = sample(passes, cache.copied(failed), [rows[i] for i in failed], temperature=temperature)
            results |= zip(failed, again, strict=True)
    return [results[index] for index in range(len(rows))]


def _decode_surely(passes: Passes, cache: DecoderCache, rows: Sequence[Row], size: int) -> list[Decoded]:
    return decode_greedily(passes, cache, rows) if size == 1 else search(passes, cache, rows, size=size)


def _failed(passes: Passes, result: Decoded) -> bool:
    improbable = result.average_logprob < _LOGPROB
    if improbable and result.no_speech_probability > _NO_SPEECH:
        return False
    text = passes.vocabulary.text(result.tokens)
    return improbable or (bool(text) and compression_ratio(text) > _COMPRESSION_RATIO)

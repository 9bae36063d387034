"""Gives words times that a client can rely on: they never run back, and each word has a length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whisper_service.engine.request import Word

#: The least length of a word is a frame of the encoder's output, 20 ms. Where many words share little time,
#: it may go down to 1 ms.
_LEAST_SAMPLES = 320
_LEAST_CROWDED_SAMPLES = 16


def in_order(words: Sequence[Word], *, earliest: int, latest: int) -> tuple[Word, ...]:
    """Return ``words`` with times in order, each word with a length.

    Alignment reads times off the model's attention, which may jump. So a word may begin before the word
    before it ends, or may end where it begins.

    :param earliest: the sample at which the word before ``words`` ends.
    :param latest: the sample after the last one that the model has heard.
    """
    if not words:
        return ()
    latest = max(latest, earliest + _LEAST_CROWDED_SAMPLES * len(words))
    least = min(_LEAST_SAMPLES, (latest - earliest) // len(words))
    starts, ends, at = [], [], earliest
    for word in words:
        starts.append(max(word.start, at))
        at = max(word.end, starts[-1] + least)
        ends.append(at)
    for index in reversed(range(len(words))):
        ends[index] = min(ends[index], latest)
        starts[index] = min(starts[index], ends[index] - least)
        latest = starts[index]
    return tuple(
        word if (word.start, word.end) == (start, end) else replace(word, start=start, end=end)
        for word, start, end in zip(words, starts, ends, strict=True)
    )

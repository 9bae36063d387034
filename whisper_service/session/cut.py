"""Finds the place where endless speech is cut: a quiet one, between two words if there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from whisper_service.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE, Samples
from whisper_service.engine.request import STEP_SAMPLES, Word

#: A cut leaves at least this much before it and after it: too short a window confuses the model.
HEAD_SAMPLES = 5 * SAMPLE_RATE
_TAIL_SAMPLES = 2 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Cut:
    """A new window begins at sample ``at``. The first ``words`` words of the old window lie before it."""

    at: int
    words: int


def cut_point(pcm: Samples, start: int, words: Sequence[Word], *, committed: int) -> Cut:
    """Return the best place to cut the window ``pcm``.

    The cut lies between two final words if there is such a place, else between two words of the hypothesis,
    else at the quietest frame.

    :param pcm: the window, float32 ``(n_samples,)``, at least 7 s.
    :param start: the window's first sample on the stream's clock.
    :param words: all words of the window in order, final ones first.
    :param committed: how many of the words are final.
    """
    energy = _frame_energy(pcm)
    low, high = start + HEAD_SAMPLES, start + pcm.shape[0] - _TAIL_SAMPLES
    for known in (words[:committed], words):
        cuts = [
            (*_quietest(energy, start, _middle(left), _middle(right)), index + 1)
            for index, (left, right) in enumerate(pairwise(known))
        ]
        # Of places that are equally quiet, the latest is taken.
        usable = [(loud, -at, count) for loud, at, count in cuts if low <= at <= high]
        if usable:
            _, at, count = min(usable)
            return Cut(-at, count)
    _, at = _quietest(energy, start, low, high)
    return Cut(at, sum(word.end <= at for word in words))


def _middle(word: Word) -> int:
    return (word.start + word.end) // 2


def _frame_energy(pcm: Samples) -> Samples:
    frames = pcm[: pcm.shape[0] // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    energy: Samples = np.square(frames).mean(axis=1)
    return energy


def _quietest(energy: Samples, start: int, low: int, high: int) -> tuple[float, int]:
    """Return the energy of the quietest frame in ``[low, high)``, and its middle as a multiple of 10 ms."""
    first = min(max(0, (low - start) // FRAME_SAMPLES), energy.shape[0] - 1)
    last = max(first + 1, (high - start) // FRAME_SAMPLES)
    frame = first + int(energy[first:last].argmin())
    middle = start + frame * FRAME_SAMPLES + FRAME_SAMPLES // 2
    return float(energy[frame]), middle // STEP_SAMPLES * STEP_SAMPLES

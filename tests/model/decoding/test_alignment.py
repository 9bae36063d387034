"""The alignment path through the attention, compared with openai-whisper's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from whisper.timing import dtw, median_filter

from whisper_service.model.decoding.alignment import (
    first_frames,
    medians_of_seven,
    on_host,
    token_frames,
    token_scores,
)


def _reference(scores: np.ndarray) -> np.ndarray:
    text, times = dtw(-torch.from_numpy(scores))
    return times[np.pad(np.diff(text), (1, 0), constant_values=1).astype(bool)]


@pytest.mark.parametrize("seed", range(20))
def test_the_path_is_that_of_whisper(seed: int) -> None:
    dice = np.random.default_rng(seed)
    tokens, frames = int(dice.integers(1, 60)), int(dice.integers(1, 300))
    scores = dice.standard_normal((tokens, frames)).astype(np.float32)
    assert first_frames(scores).tolist() == _reference(scores).tolist()


def test_ties_fall_as_they_do_in_whisper() -> None:
    for shape in ((1, 1), (3, 5), (5, 3), (4, 4)):
        scores = np.zeros(shape, dtype=np.float32)
        assert first_frames(scores).tolist() == _reference(scores).tolist()


def test_tokens_are_found_where_they_attend() -> None:
    attention = torch.full((2, 8, 100), 1e-4)
    for token in range(7):
        attention[:, 1 + token, 10 * token + 5 : 10 * token + 12] = 0.1
    (scores,) = on_host([token_scores(attention, first=1, frames=90)])
    begins, attended = token_frames(scores)
    assert np.abs(begins[1:] - (10 * np.arange(1, 7) + 5)).max() <= 3
    assert np.abs(attended - (10 * np.arange(7) + 8)).max() <= 4


def test_it_lets_go_of_the_interpreter() -> None:
    """The search for the path runs without the GIL."""
    assert first_frames.targetoptions["nogil"]


@pytest.mark.parametrize("shape", [(50, 350), (3, 7), (2, 4), (2, 3), (1, 1)])
def test_the_medians_are_those_of_whisper(shape: tuple[int, int]) -> None:
    scores = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    assert np.array_equal(
        medians_of_seven(scores), median_filter(torch.from_numpy(scores)[None], 7)[0].numpy()
    )

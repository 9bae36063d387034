"""The place where endless speech is cut."""

from __future__ import annotations

import numpy as np

from whisper_service.engine.request import Word
from whisper_service.session.cut import cut_point

RATE = 16_000


def _speech(gaps: dict[float, float], seconds: float = 20.0) -> np.ndarray:
    """Return noise. ``gaps`` has factors for the 100 ms around some times, which are in seconds."""
    pcm = np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32) * 0.1
    for at_s, level in gaps.items():
        pcm[round((at_s - 0.05) * RATE) : round((at_s + 0.05) * RATE)] *= level
    return pcm


def _words(count: int, start: int = 0) -> list[Word]:
    return [
        Word(
            f" w{index}",
            start + index * RATE,
            start + (index + 1) * RATE,
            start + index * RATE,
            1.0,
            (index,),
        )
        for index in range(count)
    ]


def test_cuts_at_the_quietest_place_between_two_final_words() -> None:
    cut = cut_point(_speech({8.0: 0.2, 11.0: 0.01, 14.0: 0.1}), 0, _words(19), committed=17)
    assert cut.words == 11 and abs(cut.at - 11 * RATE) <= 512


def test_positions_are_on_the_streams_clock() -> None:
    start = 160_000
    cut = cut_point(_speech({11.0: 0.01}), start, _words(19, start), committed=17)
    assert cut.words == 11 and abs(cut.at - start - 11 * RATE) <= 512


def test_prefers_a_louder_place_between_final_words_to_a_silent_one_behind_them() -> None:
    cut = cut_point(_speech({8.0: 0.2, 16.0: 0.0}), 0, _words(19), committed=12)
    assert cut.words == 8


def test_leaves_room_on_both_sides() -> None:
    cut = cut_point(_speech({2.0: 0.0, 19.0: 0.0, 9.0: 0.5}), 0, _words(20), committed=20)
    assert cut.words == 9


def test_without_final_words_cuts_between_words_of_the_hypothesis() -> None:
    cut = cut_point(_speech({9.0: 0.01}), 0, _words(19), committed=0)
    assert cut.words == 9


def test_without_words_cuts_at_the_quietest_frame() -> None:
    cut = cut_point(_speech({13.0: 0.0}), 0, [], committed=0)
    assert cut.words == 0 and abs(cut.at - 13 * RATE) <= 1_024

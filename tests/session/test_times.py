"""Times of words never run back, and each word has a length."""

from __future__ import annotations

import random

import pytest

from whisper_service.engine.request import Word
from whisper_service.session.times import in_order

FRAME = 320


def _words(*spans: tuple[int, int]) -> list[Word]:
    return [Word(f" w{index}", start, end, start, 0.9, (index,)) for index, (start, end) in enumerate(spans)]


def _spans(words: tuple[Word, ...]) -> list[tuple[int, int]]:
    return [(word.start, word.end) for word in words]


def test_what_is_in_order_stays() -> None:
    words = _words((1_000, 2_000), (2_000, 2_500), (4_000, 4_400))
    assert in_order(words, earliest=1_000, latest=8_000) == tuple(words)


def test_a_word_begins_after_the_one_before_it() -> None:
    words = _words((900, 2_000), (1_500, 3_000))
    assert _spans(in_order(words, earliest=1_000, latest=8_000)) == [(1_000, 2_000), (2_000, 3_000)]


def test_a_word_without_a_length_gets_a_frame() -> None:
    words = _words((1_000, 1_000), (1_000, 1_000), (3_000, 4_000))
    expected = [(1_000, 1_000 + FRAME), (1_000 + FRAME, 1_000 + 2 * FRAME), (3_000, 4_000)]
    assert _spans(in_order(words, earliest=0, latest=8_000)) == expected


def test_words_at_the_end_do_not_go_beyond_what_was_heard() -> None:
    words = _words((1_000, 7_900), (8_000, 8_000), (8_000, 8_000))
    spans = _spans(in_order(words, earliest=0, latest=8_000))
    assert spans == [(1_000, 8_000 - 2 * FRAME), (8_000 - 2 * FRAME, 8_000 - FRAME), (8_000 - FRAME, 8_000)]


@pytest.mark.parametrize("seed", range(50))
def test_any_times_come_into_order(seed: int) -> None:
    dice = random.Random(seed)
    spans = [(dice.randrange(20_000), dice.randrange(20_000)) for _ in range(dice.randint(1, 60))]
    earliest = dice.randrange(18_000)
    ordered = _spans(in_order(_words(*spans), earliest=earliest, latest=20_000))
    at = earliest
    for start, end in ordered:
        assert start >= at and end - start >= 16
        at = end
    assert at <= 20_000

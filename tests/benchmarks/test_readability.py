"""The marks and capitals of two texts are compared word by word."""

from __future__ import annotations

import pytest

from benchmarks.readability import Hits, readability

SAID = 'He said, "It rains." Then Mr. Hale left; nobody knows why.'


def test_the_same_text_is_perfect() -> None:
    result = readability(SAID, SAID)
    assert (result.sentences.f1, result.commas.f1, result.capitals.f1) == (1, 1, 1)
    assert (result.sentences.both, result.commas.both, result.capitals.both) == (3, 2, 5)


def test_a_text_without_marks_has_none() -> None:
    result = readability(SAID, "he said it rains then mr hale left nobody knows why")
    assert (result.sentences.f1, result.commas.f1, result.capitals.f1) == (0, 0, 0)


def test_what_is_added_counts_as_what_is_missing() -> None:
    assert readability("one two three. Four", "One, two three four").sentences == Hits(0, 0, 1)
    assert readability("one two three. Four", "One, two three four").commas == Hits(0, 1, 0)
    assert readability("one two three. Four", "One, two three four").capitals == Hits(0, 1, 1)


def test_words_that_are_wrong_do_not_count() -> None:
    assert readability("one two. three", "one too. three").sentences == Hits(0, 0, 0)


def test_a_mark_that_begins_a_final_belongs_to_the_word_before_it() -> None:
    assert readability("the house, and", "the house , and").commas == Hits(1, 0, 0)


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    assert Hits(both=3, added=1, missing=2).f1 == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))
    assert Hits().f1 == 1

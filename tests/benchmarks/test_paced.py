"""The words, and their times, of clients that play a talk in a loop."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.paced import ended, joined, said
from benchmarks.player import RATE, Talk
from benchmarks.scoring import Spoken


def test_a_client_says_whole_words_from_its_place_on_again_and_again() -> None:
    words = [Spoken("one", 0.5, 0.7), Spoken("two", 1.2, 1.6), Spoken("cut", 1.9, 2.1)]
    talk = Talk("talk", np.zeros(2 * RATE, dtype=np.float32), "one two cut", words, [])
    heard = said(talk, place=1.0, seconds=3.65)
    assert [word.text for word in heard] == ["two", "one", "two"]
    assert [word.start for word in heard] == pytest.approx([0.2, 1.5, 2.2])
    assert [word.end for word in heard] == pytest.approx([0.6, 1.7, 2.6])
    assert [word.text for word in said(talk, place=0.6, seconds=1.5)] == ["two"]


def test_joined_talks_follow_each_other_with_a_second_of_silence() -> None:
    one = Talk("one", np.ones(2 * RATE, dtype=np.float32), "one", [Spoken("one", 0.5, 0.7)], [0.7])
    two = Talk("two", np.ones(RATE, dtype=np.float32), "two", [Spoken("two", 0.1, 0.4)], [0.4])
    talk = joined([one, two])
    assert talk.pcm.shape[0] == 5 * RATE and not talk.pcm[2 * RATE : 3 * RATE].any()
    assert [(word.text, word.start) for word in talk.words] == [("one", 0.5), ("two", 3.1)]
    assert talk.ends == pytest.approx([0.7, 3.4]) and talk.text == "one two"
    assert ended(talk, place=3.0, seconds=7.0) == pytest.approx([0.4, 2.7, 5.4])

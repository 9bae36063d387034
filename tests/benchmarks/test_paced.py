"""The words, and their times, of clients that play a talk in a loop."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.paced import said
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

"""LocalAgreement-2."""

from __future__ import annotations

import pytest

from whisper_service.engine.request import Word
from whisper_service.session.commit import LocalAgreement, normalise


def _words(text: str) -> list[Word]:
    return [Word(f" {word}", index, index + 1, 1.0, (index,)) for index, word in enumerate(text.split())]


def _agreed(*hypotheses: str) -> list[int]:
    policy = LocalAgreement()
    return [policy.agreed(_words(text)) for text in hypotheses]


def test_one_hypothesis_makes_nothing_final() -> None:
    assert _agreed("we are not") == [0]


def test_two_hypotheses_make_final_what_they_begin_with() -> None:
    assert _agreed("we are knot", "we are not aware") == [0, 2]


def test_the_last_word_is_never_final() -> None:
    assert _agreed("we are", "we are") == [0, 1]


def test_case_and_punctuation_do_not_stop_agreement() -> None:
    assert _agreed("We are. Not", "we are not aware") == [0, 3]


def test_the_next_hypothesis_begins_behind_what_is_final() -> None:
    assert _agreed("a b c", "a b c d", "c d e", "d e f g") == [0, 3, 0, 0]
    assert _agreed("a b c", "a b c d", "d e f", "e f g") == [0, 3, 1, 2]


def test_an_empty_hypothesis_breaks_agreement() -> None:
    assert _agreed("a b", "", "a b c") == [0, 0, 0]


def test_reset_forgets() -> None:
    policy = LocalAgreement()
    policy.agreed(_words("a b"))
    policy.reset()
    assert policy.agreed(_words("a b")) == 0


@pytest.mark.parametrize(
    ("text", "bare"), [(" Don't!", "dont"), ("Straße,", "strasse"), ("café", "café"), ("…", "")]
)
def test_normalise_keeps_letters_and_digits(text: str, bare: str) -> None:
    assert normalise(text) == bare

"""Which words are certain."""

from __future__ import annotations

import pytest

from whisper_service import config
from whisper_service.engine.request import Word
from whisper_service.session.commit import POLICIES, AgreementOrAge, AlignAtt, LocalAgreement, normalise

#: LocalAgreement does not look at it.
END = 0


def _words(text: str) -> list[Word]:
    return [
        Word(f" {word}", index, index + 1, index, 1.0, (index,)) for index, word in enumerate(text.split())
    ]


def _agreed(*hypotheses: str) -> list[int]:
    policy = LocalAgreement()
    return [policy.agreed(_words(text), END) for text in hypotheses]


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
    policy.agreed(_words("a b"), END)
    policy.reset()
    assert policy.agreed(_words("a b"), END) == 0


def _attended(*samples: int) -> list[Word]:
    return [Word(f" w{index}", 0, 0, sample, 1.0, (index,)) for index, sample in enumerate(samples)]


def test_alignatt_makes_final_what_lies_before_the_newest_audio() -> None:
    policy = AlignAtt(margin=8_000)
    assert policy.agreed(_attended(1_000, 9_000, 17_000), end=24_000) == 2
    assert policy.agreed(_attended(16_000), end=24_000) == 1
    assert policy.agreed([], end=24_000) == 0


def test_alignatt_stops_at_the_first_word_that_is_too_new() -> None:
    assert AlignAtt(margin=8_000).agreed(_attended(1_000, 23_000, 2_000), end=24_000) == 1


def _word(text: str, attended: int, probability: float = 0.9) -> Word:
    return Word(text, 0, 0, attended, probability, ())


def test_what_is_old_and_probable_needs_no_agreement() -> None:
    words = [_word("old", 1_000), _word("older", 900), _word("new", 20_000)]
    assert AgreementOrAge(age=9_600).agreed(words, end=24_000) == 2


def test_what_is_old_and_improbable_needs_agreement() -> None:
    policy = AgreementOrAge(age=9_600, probability=0.5)
    words = [_word("old", 1_000, 0.3), _word("sure", 1_000)]
    assert policy.agreed(words, end=24_000) == 0
    assert policy.agreed(words, end=32_000) == 2


def test_what_is_new_needs_agreement() -> None:
    policy = AgreementOrAge(fresh=1_600)
    assert policy.agreed([_word("a", 20_000), _word("b", 21_000)], end=24_000) == 0
    assert policy.agreed([_word("A,", 30_000), _word("x", 30_000)], end=32_000) == 1


def test_the_freshest_word_is_not_final_even_if_it_agrees() -> None:
    policy = AgreementOrAge(fresh=1_600)
    assert policy.agreed([_word("a", 23_000)], end=24_000) == 0
    assert policy.agreed([_word("a", 31_000)], end=32_000) == 0
    assert policy.agreed([_word("a", 31_000)], end=40_000) == 1


def test_a_policy_that_is_reset_has_heard_nothing() -> None:
    policy = AgreementOrAge()
    policy.agreed([_word("a", 20_000)], end=24_000)
    policy.reset()
    assert policy.agreed([_word("a", 20_000)], end=24_000) == 0


def test_every_policy_of_the_settings_exists() -> None:
    assert tuple(POLICIES) == config.POLICIES


@pytest.mark.parametrize(
    ("text", "bare"), [(" Don't!", "dont"), ("Straße,", "strasse"), ("café", "café"), ("…", "")]
)
def test_normalise_keeps_letters_and_digits(text: str, bare: str) -> None:
    assert normalise(text) == bare

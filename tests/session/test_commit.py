"""The commit policies: they decide which words of a hypothesis become final."""

from __future__ import annotations

import pytest

from whisper_service import config
from whisper_service.engine.request import Word
from whisper_service.session.commit import (
    POLICIES,
    Agreed,
    AlignAtt,
    ConfidentAgreement,
    LocalAgreement,
    normalise,
)

#: The end of the window. LocalAgreement ignores it.
END = 0


def _words(text: str) -> list[Word]:
    return [
        Word(f" {word}", index, index + 1, index, 1.0, (index,)) for index, word in enumerate(text.split())
    ]


def _agreed(*hypotheses: str) -> list[int]:
    policy = LocalAgreement()
    return [policy.agreed(_words(text), END).words for text in hypotheses]


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
    assert policy.agreed(_words("a b"), END).words == 0


def _attended(*samples: int) -> list[Word]:
    return [Word(f" w{index}", 0, 0, sample, 1.0, (index,)) for index, sample in enumerate(samples)]


def test_alignatt_makes_final_what_lies_before_the_newest_audio() -> None:
    policy = AlignAtt(margin=8_000)
    assert policy.agreed(_attended(1_000, 9_000, 17_000), end=24_000).words == 2
    assert policy.agreed(_attended(16_000), end=24_000).words == 1
    assert policy.agreed([], end=24_000).words == 0


def test_alignatt_stops_at_the_first_word_that_is_too_new() -> None:
    assert AlignAtt(margin=8_000).agreed(_attended(1_000, 23_000, 2_000), end=24_000).words == 1


SECOND = 16_000


def _said(text: str, probability: float, age_s: float = 0.6, mark: str = "") -> Word:
    """Return a word that the model read off audio ``age_s`` seconds before the window's end, ``SECOND``."""
    attended = SECOND - round(age_s * SECOND)
    return Word(f" {text}{mark}", 0, 0, attended, probability, (1, *[2] * len(mark)), mark, len(mark))


def _certain(*hypotheses: list[Word]) -> list[int]:
    policy = ConfidentAgreement()
    last = _said("last", 1.0, 0.0)
    return [policy.agreed([*words, last], SECOND).words for words in hypotheses]


@pytest.mark.parametrize(
    ("probability", "age_s", "times"),
    [(1.0, 0.6, 2), (0.7, 0.3, 2), (0.9, 0.2, 4), (0.6, 0.6, 3), (0.1, 0.6, 3), (0.3, 1.5, 2), (0.1, 2.0, 2)],
)
def test_a_doubtful_word_waits_for_a_third_hypothesis_unless_it_is_old(
    probability: float, age_s: float, times: int
) -> None:
    words = [_said("one", probability, age_s)]
    older = [_said("one", probability, 0.6)]
    counts = _certain(words, words, words, older)
    assert counts.index(1) + 1 == times


def test_a_doubtful_word_holds_up_those_after_it() -> None:
    words = [_said("one", 0.5), _said("two", 1.0)]
    assert _certain(words, words, words) == [0, 0, 2]


def test_another_word_begins_the_count_anew() -> None:
    one, other = [_said("one", 0.5)], [_said("other", 0.5)]
    assert _certain(one, one, other, one, one, one) == [0, 0, 0, 0, 0, 1]


def test_a_word_is_final_before_the_mark_after_it() -> None:
    policy = ConfidentAgreement()
    first = [_said("house", 0.9), _said("and", 0.9), _said("last", 1.0, 0.0)]
    second = [_said("house", 0.9, mark=","), _said("and", 0.9, 0.1), _said("last", 1.0, 0.0)]
    assert policy.agreed(first, SECOND) == Agreed(0)
    assert policy.agreed(second, SECOND) == Agreed(1, mark=False)


def test_a_mark_that_is_written_twice_is_final_with_its_word() -> None:
    policy = ConfidentAgreement()
    words = [_said("house", 0.9, mark=","), _said("and", 0.9, 0.1), _said("last", 1.0, 0.0)]
    assert [policy.agreed(words, SECOND) for _ in range(2)] == [Agreed(0), Agreed(1, mark=True)]


def test_the_word_after_a_mark_that_comes_and_goes_waits() -> None:
    plain, marked = [_said("one", 0.9), _said("two", 0.9)], [_said("one", 0.9, mark="."), _said("two", 0.9)]
    assert _certain(plain, marked) == [0, 1]
    # A word that four hypotheses have is final, however they write it.
    capital = [_said("One", 0.9)]
    assert _certain([_said("one", 0.9)], capital, [_said("one", 0.9)], capital) == [0, 0, 0, 1]


def test_a_mark_that_opens_the_next_word_counts_as_the_mark_before_it() -> None:
    policy = ConfidentAgreement()
    words = [_said("house", 0.9, mark=","), _said("and", 0.9, 0.1), _said("last", 1.0, 0.0)]
    policy.agreed([_said("house", 0.9), *words[1:]], SECOND)
    assert policy.agreed(words, SECOND) == Agreed(1, mark=False)
    opened = Word(", and", 0, 0, 0, 0.9, (2, 1))
    assert policy.agreed([opened, _said("last", 1.0, 0.0)], SECOND) == Agreed(1)


def test_confident_agreement_forgets_when_it_is_reset() -> None:
    policy = ConfidentAgreement()
    words = [_said("one", 0.9), _said("last", 1.0, 0.0)]
    policy.agreed(words, SECOND)
    policy.reset()
    assert policy.agreed(words, SECOND).words == 0


def test_every_policy_of_the_settings_exists() -> None:
    assert tuple(POLICIES) == config.POLICIES


@pytest.mark.parametrize(
    ("text", "bare"), [(" Don't!", "dont"), ("Straße,", "strasse"), ("café", "café"), ("…", "")]
)
def test_normalise_keeps_letters_and_digits(text: str, bare: str) -> None:
    assert normalise(text) == bare

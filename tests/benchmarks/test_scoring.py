"""The scores of streams that are perfect, late, flickering or revising."""

from __future__ import annotations

import pytest

from benchmarks.scoring import Message, Spoken, align, score, words_of

WORDS = ["there", "will", "be", "two", "questions", "in", "the", "algebra", "test"]
#: One word every half second, from 1 s on.
TRUTH = [Spoken(word, 1 + 0.5 * index, 1.5 + 0.5 * index) for index, word in enumerate(WORDS)]
END = TRUTH[-1].end


def partial(at: float, text: str) -> Message:
    return Message(at, False, text)


def final(at: float, text: str) -> Message:
    return Message(at, True, text)


def test_a_perfect_stream_has_no_delay_and_no_revision() -> None:
    result = score([final(word.end, f" {word.text}") for word in TRUTH], TRUTH, [END])
    assert result.first_display == result.commit == [0.0] * len(WORDS)
    assert result.last_final == [0.0]
    assert (result.shown, result.revised, result.repeated, result.lost) == (0, 0, 0, 0)


def test_display_and_commit_are_timed_apart() -> None:
    messages = []
    for count, word in enumerate(TRUTH, start=1):
        messages.append(partial(word.end + 0.25, " ".join(WORDS[:count])))
    messages.append(final(END + 2, " ".join(WORDS)))
    result = score(messages, TRUTH, [END])
    assert result.first_display == pytest.approx([0.25] * len(WORDS))
    assert result.commit == pytest.approx([END + 2 - word.end for word in TRUTH])
    assert result.last_final == pytest.approx([2.0])
    assert (result.shown, result.revised) == (len(WORDS), 0)


def test_a_word_that_vanishes_was_not_shown_yet() -> None:
    messages = [
        partial(1.5, "there"),
        partial(2.0, ""),
        partial(2.5, "there"),
        final(5.0, "there"),
    ]
    result = score(messages, TRUTH[:1])
    assert result.first_display == [1.0]
    assert (result.shown, result.revised) == (2, 1)


def test_a_stream_that_shows_everything_and_revises_it_is_punished() -> None:
    messages = []
    for count, word in enumerate(TRUTH, start=1):
        guess = [f"wrong{count}{index}" for index in range(count)]
        messages.append(partial(word.end, " ".join(guess)))
    messages.append(final(END + 1, " ".join(WORDS)))
    result = score(messages, TRUTH)
    assert result.revised == result.shown > 0
    assert result.first_display == result.commit  # no word was right before it was final


def test_case_and_punctuation_are_no_revision() -> None:
    messages = [partial(1.5, "there"), partial(2.0, "There, will"), final(2.5, "there will.")]
    result = score(messages, TRUTH[:2])
    assert result.revised == 0
    assert result.first_display == [0.0, 0.0]


def test_a_word_before_others_moves_them_and_revises_none() -> None:
    messages = [partial(1.5, "will be"), partial(2.0, "there will be"), final(2.5, "there will be")]
    result = score(messages, TRUTH[:3])
    assert (result.shown, result.revised) == (3, 0)


def test_a_final_and_the_partial_behind_it_are_one_sight() -> None:
    messages = [
        partial(2.0, "there will"),
        final(2.5, "there"),
        partial(2.5, " will be"),
        final(3.0, " will be"),
    ]
    result = score(messages, TRUTH[:3])
    assert result.revised == 0
    assert result.first_display == pytest.approx([0.5, 0.0, 0.0])


def test_wrong_words_have_no_delay() -> None:
    result = score([final(2.0, "there well be")], TRUTH[:3])
    assert len(result.commit) == 2


def test_words_said_twice_at_a_seam() -> None:
    result = score([final(2.0, "there will"), final(3.0, "will be")], TRUTH[:3])
    assert (result.repeated, result.lost) == (1, 0)


def test_a_real_repeat_is_none_of_a_seam() -> None:
    truth = [Spoken(word, index, index + 1) for index, word in enumerate(["no", "no", "no"])]
    result = score([final(2.0, "no"), final(3.0, "no no")], truth)
    assert (result.repeated, result.lost) == (0, 0)


def test_words_lost_at_a_seam() -> None:
    result = score([final(2.0, "there will"), final(4.0, "questions in")], TRUTH[:6])
    assert (result.repeated, result.lost) == (0, 2)


def test_alignment() -> None:
    reference = ["a", "b", "c", "d", "e"]
    assert align(reference, ["a", "x", "c", "e"]) == [0, None, 2, 4]
    assert align(reference, ["a", "b"], open_end=True) == [0, 1]
    assert align(reference, ["b", "c"], open_end=True) == [1, 2]
    assert align([], ["a"]) == [None]
    assert align(reference, []) == []


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert words_of(" It's 'FINE' — x.") == ["its", "fine", "x"]

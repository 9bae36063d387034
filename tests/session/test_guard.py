"""The guard drops phantom words and loops, and keeps real repeats."""

from __future__ import annotations

from dataclasses import replace

import pytest

from whisper_service.engine.request import Hypothesis, Word
from whisper_service.session.guard import Belief, Loop, believe, compression_ratio, loops, repeats

RATE = 16_000


def _hypothesis(
    text: str, *, no_speech: float = 0.0, logprob: float = -0.1, attended: list[int] | None = None
) -> Hypothesis:
    words = tuple(
        Word(f" {word}", index, index + 1, attended[index] if attended else index, 0.9, (index,))
        for index, word in enumerate(text.split())
    )
    return Hypothesis("s", 1, words, "en", no_speech, logprob, "en", 1.0)


def _text(belief: Belief) -> str:
    return "".join(word.text for word in belief.words).strip()


def test_plain_words_count() -> None:
    assert believe(_hypothesis("There will be two questions.")).reason == ""


@pytest.mark.parametrize(
    ("no_speech", "logprob", "count"),
    [(0.9, -1.1, 0), (0.4, -1.3, 0), (0.9, -0.2, 2), (0.4, -1.1, 2), (0.1, -1.5, 2)],
)
def test_silence_is_both_improbable_speech_and_improbable_words(
    no_speech: float, logprob: float, count: int
) -> None:
    belief = believe(_hypothesis("thank you", no_speech=no_speech, logprob=logprob))
    assert len(belief.words) == count
    assert bool(belief.reason) == (count == 0)


@pytest.mark.parametrize(
    ("probability", "logprob", "count", "guesses"),
    [(0.9, -0.1, 2, False), (0.3, -0.7, 2, False), (0.2, -0.1, 0, False), (0.9, -0.9, 0, True)],
)
def test_words_that_the_model_had_to_write_must_be_probable(
    probability: float, logprob: float, count: int, guesses: bool
) -> None:
    answer = _hypothesis("thank you", logprob=logprob)
    first, second = answer.words
    answer = replace(answer, words=(replace(first, probability=probability), second))
    belief = believe(answer, asked_to_speak=True)
    assert len(belief.words) == count and bool(belief.reason) == (count == 0)
    assert belief.guesses == guesses
    assert len(believe(answer).words) == 2


def test_a_loop_of_a_model_that_had_to_write_counts_for_nothing() -> None:
    answer = _hypothesis("out of " * 9, attended=[RATE] * 18)
    assert believe(answer).words and not believe(answer, asked_to_speak=True).words


def test_a_phrase_that_is_said_many_times_repeats() -> None:
    assert repeats(_hypothesis("so five seven five, seven. five seven five Seven").words)
    assert not repeats(_hypothesis("so five seven five seven five seven").words)


def test_a_loop_counts_once() -> None:
    belief = believe(_hypothesis("we said that to the end, to the end to the end. To the end"))
    assert _text(belief) == "we said that to the end,"
    assert "loop" in belief.reason


def test_a_loop_of_one_word() -> None:
    assert _text(believe(_hypothesis("and the the the the the the"))) == "and the"


@pytest.mark.parametrize(
    "text",
    [
        "no no no",
        "very, very, very, very good",
        "it is, it is, it is",
        "bye bye. bye bye.",
        "that that is is",
    ],
)
def test_real_repeats_count(text: str) -> None:
    assert believe(_hypothesis(text)).reason == ""


def test_a_loop_is_found_behind_its_first_run() -> None:
    assert list(loops(["a", "b", "c", "b", "c", "b", "c", "b", "c"])) == [Loop(3, 9, 2)]
    assert list(loops(["a", "b", "c", "d", "e", "f"])) == []
    assert list(loops([])) == []


@pytest.mark.parametrize(
    "text", ["five seven " * 6, "no " * 9, "we want more. " * 5, "so I said no no no no no no no and went"]
)
def test_words_that_are_said_again_and_again_count(text: str) -> None:
    count = len(text.split())
    belief = believe(_hypothesis(text, attended=[index * RATE // 3 for index in range(count)]))
    assert len(belief.words) == count and belief.reason == ""


def test_some_of_the_words_that_are_said_again_may_be_read_off_one_place() -> None:
    places = [index * RATE // 3 for index in range(12)]
    places[5] = places[3]
    assert len(believe(_hypothesis("five seven " * 6, attended=places)).words) == 12


@pytest.mark.parametrize("step", [0, RATE // 50, -RATE // 50])
def test_a_loop_stands_still_or_hurries(step: int) -> None:
    """Repeats are a loop if attention stays in one place, or moves by only 20 ms per word."""
    belief = believe(_hypothesis("to the end " * 5, attended=[RATE + index * step for index in range(15)]))
    assert len(belief.words) == 3 and "loop" in belief.reason


def test_a_text_that_repeats_itself_beside_a_real_repeat_is_still_found() -> None:
    lines = " ".join(f"this is what we always said about it number {index}" for index in range(15))
    text = "no " * 8 + lines
    belief = believe(_hypothesis(text, attended=[index * RATE // 3 for index in range(len(text.split()))]))
    assert "compression" in belief.reason


def test_attention_that_runs_back_is_a_repetition() -> None:
    places = [0, 1 * RATE, 6 * RATE, 7 * RATE, 1 * RATE, 2 * RATE]
    belief = believe(_hypothesis("one two three four two three", attended=places))
    assert _text(belief) == "one two three four"
    assert "runs back" in belief.reason


def test_attention_may_waver() -> None:
    assert believe(_hypothesis("one two three", attended=[0, 3 * RATE, 1 * RATE])).reason == ""


def test_text_that_compresses_too_well_repeats_itself() -> None:
    lines = " ".join(f"this is what we always said about it number {index}" for index in range(15))
    assert compression_ratio(lines) > 2.4
    belief = believe(_hypothesis(lines))
    assert (belief.words, "compression" in belief.reason) == ((), True)

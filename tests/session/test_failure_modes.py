"""The known failure modes of streaming Whispers, each played to a whole session.

Tested elsewhere: prompts that cause loops and languages guessed too early (``test_prompting.py``), the last
words at ``stop`` (``test_session.py``), the token budget and times in the padding
(``tests/engine/test_runner.py``), silence and noise (``tests/test_phantom_words.py``).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import RATE, FakeEngine, cut_evenly, finals, make_session, play, speak, words
from whisper_service.config import POLICIES
from whisper_service.engine.request import Hypothesis, Kind, Request, Word
from whisper_service.session.commit import Agreed, normalise

PLAIN = [0.06, 0.11, 0.04, 0.2, 0.08] * 8


class Faulty(FakeEngine):
    """A fake engine that passes the words of its answers through ``change``."""

    def __init__(self, change: Callable[[Request, tuple[Word, ...]], tuple[Word, ...]]) -> None:
        super().__init__()
        self._change = change

    def run(self, request: Request) -> Hypothesis:
        answer = super().run(request)
        return replace(answer, words=self._change(request, answer.words))


def _flicker(request: Request, heard: tuple[Word, ...]) -> tuple[Word, ...]:
    """Return the same words, spelled differently in each answer."""
    style = (str.upper, str.title, lambda text: text.rstrip(".") + ",", lambda text: text)
    return tuple(replace(word, text=style[request.number % 4](word.text)) for word in heard)


@pytest.mark.parametrize("policy", ["local_agreement", "align_att"])
def test_flicker_of_case_and_punctuation_delays_nothing(policy: str) -> None:
    pcm, said = speak(PLAIN)
    slices = cut_evenly(pcm, 8_000)
    steady = finals(play(make_session(policy=policy), FakeEngine(), slices))
    flickering = finals(play(make_session(policy=policy), Faulty(_flicker), slices))
    assert [len(final.words) for final in flickering] == [len(final.words) for final in steady]
    assert [normalise(final.text) for final in flickering] == [normalise(final.text) for final in steady]


def test_flicker_of_case_and_punctuation_delays_confident_agreement_by_two_hypotheses() -> None:
    pcm, said = speak(PLAIN)
    session = make_session(policy="confident_agreement")
    told = finals(play(session, Faulty(_flicker), cut_evenly(pcm, 8_000)))
    assert [normalise(word.text) for final in told for word in final.words] == [
        normalise(word) for word in said
    ]
    assert len(told) > 2


@pytest.mark.parametrize("policy", POLICIES)
def test_where_agreement_never_comes_the_cut_makes_words_final(policy: str) -> None:
    pcm, said = speak([0.06, 0.11, 0.04, 0.2, 0.08] * 40)
    engine = FakeEngine(garble=True)
    heard = words(play(make_session(policy=policy), engine, cut_evenly(pcm, 8_000)))
    assert [word.split("x")[0] for word in heard] == [word.rstrip(".") for word in said]
    assert max(engine.windows) <= 28 * RATE


def _loop(request: Request, heard: tuple[Word, ...]) -> tuple[Word, ...]:
    """Repeat the last three words five times, except in the last answer of an utterance."""
    return heard if request.kind is Kind.FINAL else (*heard, *heard[-3:] * 5)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_loop_adds_no_words(policy: str) -> None:
    pcm, said = speak(PLAIN)
    assert words(play(make_session(policy=policy), Faulty(_loop), cut_evenly(pcm, 8_000))) == said


def _rewind(request: Request, heard: tuple[Word, ...]) -> tuple[Word, ...]:
    """Append once more the words that were said over five seconds before the last word."""
    again = [word for word in heard if word.attended < heard[-1].attended - 5 * RATE]
    return (*heard, *again)


@pytest.mark.parametrize("policy", POLICIES)
def test_attention_that_runs_back_adds_no_words(policy: str) -> None:
    pcm, said = speak(PLAIN)
    # No word becomes final before the end, so that attention has many words to run back to.
    session = make_session(policy=policy)
    session._transcript._policy.agreed = lambda words, end: Agreed(0)  # type: ignore[method-assign]
    assert words(play(session, Faulty(_rewind), cut_evenly(pcm, 8_000))) == said


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(8))
def test_real_repeats_survive_agreement_and_seams(policy: str, seed: int) -> None:
    """In 60 s without a pause a third of the words are said twice, so that cuts fall between equal words."""
    dice = random.Random(seed)
    numbers: list[int] = []
    while len(numbers) < 150:
        number = dice.randrange(1, 400)
        numbers += [number] * dice.choice([1, 1, 2])
    pcm, _ = speak([dice.choice([0.04, 0.08, 0.15]) for _ in numbers])
    order = np.zeros(len(numbers) + 1, dtype=np.float32)
    order[1:] = np.array(numbers) / 1024
    pcm = order[np.round(pcm * 1024).astype(int)]
    engine = FakeEngine()
    heard = words(play(make_session(policy=policy), engine, cut_evenly(pcm, 8_000)))
    assert heard == [f" w{number}." for number in numbers]


def test_one_answer_without_words_takes_nothing_back_for_good() -> None:
    dropped: list[int] = []

    def drop_one(request: Request, heard: tuple[Word, ...]) -> tuple[Word, ...]:
        if request.kind is Kind.COMMIT and request.number == 4:
            dropped.append(len(heard))
            return ()
        return heard

    pcm, said = speak(PLAIN)
    assert words(play(make_session(), Faulty(drop_one), cut_evenly(pcm, 8_000))) == said
    assert dropped and dropped[0] > 0

"""The languages of a session's utterances, when the client has chosen none."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import (
    RATE,
    FakeDetector,
    FakeEngine,
    Recording,
    cut_evenly,
    done,
    finals,
    make_session,
    play,
    speak,
)
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Request
from whisper_service.events import Event
from whisper_service.session.session import Session, Step


def _unsure(languages: dict[int, tuple[str, float]]) -> Callable[[Request, Hypothesis], Hypothesis]:
    """Return a change that detects a language by the start of the window.

    :param languages: code and probability of each language, by the first sample at which it is detected.
    """

    def change(request: Request, answer: Hypothesis) -> Hypothesis:
        code, probability = next(
            value for start, value in sorted(languages.items(), reverse=True) if request.start >= start
        )
        return replace(
            answer,
            language=request.language or code,
            detected=code if request.detect else (request.language or code),
            language_probability=probability if request.detect else 1.0,
        )

    return change


def _multilingual(**settings: object) -> Session:
    return Session(
        "test",
        StreamSettings().merged(settings),
        grid_samples=8_000,
        languages=frozenset({"de", "en", "zh"}),
    )


def test_a_short_first_utterance_waits_until_its_language_is_certain() -> None:
    pcm, said = speak([1.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    engine = Recording(_unsure({0: ("zh", 0.4), RATE: ("en", 0.95)}))
    told = finals(play(_multilingual(), engine, cut_evenly(pcm, 8_000)))
    assert "".join(final.text for final in told) == "".join(said)
    assert {final.language for final in told} == {"en"}
    assert [final.start for final in told] == sorted(final.start for final in told)


def test_a_short_first_utterance_does_not_wait_for_ever() -> None:
    pcm, said = speak([0.5], tail_s=14.0)
    engine = Recording(_unsure({0: ("de", 0.6)}))
    session = _multilingual()
    (final,) = finals(play(session, engine, cut_evenly(pcm, 8_000), stop=False))
    assert final.text == said[0] and final.language == "de"


@pytest.mark.parametrize("end", ["finish", "flush"])
def test_a_short_first_utterance_is_final_at_the_end(end: str) -> None:
    pcm, said = speak([0.5], tail_s=0.0)
    engine = Recording(_unsure({0: ("de", 0.6)}))
    session = _multilingual()
    events = play(session, engine, cut_evenly(pcm, 8_000), stop=False)
    steps = [session.finish() if end == "finish" else session.flush()]
    while steps:
        step = steps.pop()
        events += step.events
        steps += [session.apply(engine.run(request)) for request in step.requests]
    assert [final.text for final in finals(events)] == said
    assert session.finished == (end == "finish")


def test_a_sure_first_utterance_waits_for_nothing() -> None:
    pcm, said = speak([0.5], tail_s=1.5)
    engine = Recording(_unsure({0: ("de", 0.97)}))
    (final,) = finals(play(_multilingual(), engine, cut_evenly(pcm, 8_000), stop=False))
    assert final.language == "de" and final.text == said[0]


LANGUAGES = frozenset({"de", "en"})


class Bilingual(Recording):
    """Detects German if the last word of the window has a number up to 99, else English.

    :param guesses: detect a random language in windows of less than 2 s.
    """

    def __init__(self, *, guesses: bool = False) -> None:
        super().__init__(self._in_language)
        self._guesses = guesses

    def _in_language(self, request: Request, answer: Hypothesis) -> Hypothesis:
        loud = request.pcm[request.pcm > 0]
        detected = "en" if loud.size and float(loud[-1]) * 1024 > 99.5 else "de"
        if self._guesses and request.pcm.shape[0] < 2 * RATE:
            detected = random.Random(request.number).choice(["de", "en"])
        language = request.language or detected
        return replace(answer, language=language, detected=detected, language_probability=0.9)


def _speak_as(first: int, gaps: list[float]) -> np.ndarray:
    pcm, _ = speak(gaps, lead_s=0.5, tail_s=1.5)
    return np.where(pcm > 0, pcm + np.float32((first - 1) / 1024), 0).astype(np.float32)


def _play_auto(pcm: np.ndarray, engine: Recording, **settings: object) -> list[Event]:
    session = Session("test", StreamSettings().merged(settings), grid_samples=8_000, languages=LANGUAGES)
    return play(session, engine, cut_evenly(pcm, 8_000))


def test_nothing_is_final_before_two_seconds_of_speech_have_told_the_language() -> None:
    engine = Bilingual(guesses=True)
    told = finals(_play_auto(_speak_as(1, [0.05] * 12), engine))
    assert {final.language for final in told} == {"de"}
    undecided = [request for request in engine.requests if request.language is None]
    assert undecided and all(request.detect for request in undecided)
    assert all(not request.prefix for request in undecided)


def test_each_final_carries_its_language_and_a_change_waits_for_an_utterance() -> None:
    pcm = np.concatenate([_speak_as(1, [0.05] * 10), _speak_as(100, [0.05] * 10), _speak_as(1, [0.05] * 10)])
    engine = Bilingual()
    told = finals(_play_auto(pcm, engine))
    order = list(dict.fromkeys((final.language, final.text.split()[0]) for final in told))
    languages = [final.language for final in told]
    changes = [one for one, other in zip(languages, [*languages[1:], ""], strict=True) if one != other]
    assert changes == ["de", "en", "de"] and order
    assert len([word for final in told for word in final.words]) == 30


def test_context_never_crosses_a_change_of_language() -> None:
    pcm = np.concatenate([_speak_as(1, [0.05] * 10), _speak_as(100, [0.05] * 10)])
    engine = Bilingual()
    _play_auto(pcm, engine)
    english = [request for request in engine.requests if request.language == "en"]
    assert english and {request.context for request in english} == {""}


def test_a_chosen_language_is_not_detected() -> None:
    engine = Bilingual()
    told = finals(_play_auto(_speak_as(100, [0.05] * 10), engine, language="de"))
    assert {final.language for final in told} == {"de"}
    assert not any(request.detect for request in engine.requests)


def test_a_model_of_one_language_detects_none() -> None:
    engine = Recording()
    play(make_session(), engine, cut_evenly(speak([0.1, 0.1, 1.4, 0.1, 0.1])[0], 8_000))
    assert {(request.language, request.detect) for request in engine.requests} == {("en", False)}


def test_a_short_first_utterance_is_final_in_what_was_detected() -> None:
    told = finals(_play_auto(_speak_as(1, [0.1]), Bilingual()))
    assert [(final.text, final.language) for final in told] == [(" w1.", "de")]


@pytest.mark.parametrize("seed", range(5))
def test_languages_too_are_a_function_of_the_samples(seed: int) -> None:
    pcm = np.concatenate([_speak_as(1, [0.05] * 9), _speak_as(100, [0.05] * 9), _speak_as(1, [0.05] * 2)])
    expected = finals(_play_auto(pcm, Bilingual(guesses=False)))
    dice = random.Random(seed)
    session = Session("test", StreamSettings(), grid_samples=8_000, languages=LANGUAGES)
    detector, engine, waiting, told = FakeDetector(), Bilingual(), [], []

    def take(step: Step) -> None:
        told.extend(step.events)
        waiting.extend(step.requests)

    pieces = cut_evenly(pcm, dice.choice([1_600, 5_000, 30_000]))
    while pieces or waiting:
        if waiting and dice.random() < 0.5:
            take(session.apply(engine.run(waiting.pop(dice.randrange(len(waiting))))))
        elif pieces:
            piece = pieces.pop(0)
            take(session.feed(piece, detector.probabilities(piece)))
            if not pieces:
                take(session.finish())
    assert finals(told) == expected


def _play_late(session: Session, engine: FakeEngine, pcm: np.ndarray, seed: int) -> list[Event]:
    """Play with answers whose delay depends on ``seed``: from none to the end of the audio. Then stop."""
    dice = random.Random(seed)
    detector, events = FakeDetector(), []
    waiting: list[Request] = []

    def take(step: Step) -> None:
        events.extend(step.events)
        waiting.extend(step.requests)

    for piece in cut_evenly(pcm, dice.choice([1_600, 8_000, 40_000])):
        take(session.feed(piece, detector.probabilities(piece)))
        while waiting and dice.random() < (seed % 4) / 3:
            take(session.apply(engine.run(waiting.pop(0))))
    take(session.finish())
    while waiting:
        take(session.apply(engine.run(waiting.pop(0))))
    return events


@pytest.mark.parametrize(
    "languages",
    [
        {0: ("zh", 0.4), RATE: ("en", 0.95)},
        {0: ("zh", 0.6), RATE: ("de", 0.9), 4 * RATE: ("en", 0.3)},
        {0: ("zh", 0.4), RATE: ("de", 0.4), 5 * RATE: ("en", 0.4)},
    ],
)
@pytest.mark.parametrize(
    "gaps", [[1.2, 0.1, 1.2, 0.1, 0.1, 0.1, 0.1, 0.1], [1.0, 12.0, 1.0, 0.1, 0.1], [0.2, 9.0, 1.0]]
)
def test_what_is_held_back_does_not_depend_on_how_fast_anything_comes(
    languages: dict[int, tuple[str, float]], gaps: list[float]
) -> None:
    """Utterances that wait for a certain language become the same finals, however late the answers come."""
    pcm, said = speak(gaps)
    told: set[tuple[tuple[str, str, int, int], ...]] = set()
    for seed in range(8):
        events = _play_late(_multilingual(), Recording(_unsure(languages)), pcm, seed)
        finals_ = finals(events)
        assert "".join(final.text for final in finals_) == "".join(said)
        assert [final.start for final in finals_] == sorted(final.start for final in finals_)
        assert done(events).account.received == pcm.shape[0]
        told.add(tuple((word.text, final.language, 0, 0) for final in finals_ for word in final.words))
    assert len(told) == 1


def test_an_abandoned_stream_names_what_was_held_back() -> None:
    """When a stream is abandoned, an utterance that is held back counts as not final."""
    pcm, _ = speak([0.5], tail_s=3.0)
    session = _multilingual()
    play(session, Recording(_unsure({0: ("zh", 0.4)})), cut_evenly(pcm, 8_000), stop=False)
    step, heard = session.abandon()
    assert not finals(step.events) and heard < RATE and session.finished

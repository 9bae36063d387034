"""Prompt, context and language in requests, and the retries when they mislead the model."""

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
    cut_evenly,
    done,
    finals,
    make_session,
    play,
    speak,
    words,
)
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Request, Word
from whisper_service.events import Event, KeywordSpotted
from whisper_service.session.session import Session, Step

TWO_UTTERANCES = [0.1, 0.1, 1.4, 0.1, 0.1]
#: Two utterances that are too far apart for one window.
FAR_APART = [0.1, 0.1, 22.0, 0.1, 0.1]


class Recording(FakeEngine):
    """A fake engine that records its requests and passes its answers through ``change``."""

    def __init__(
        self, change: Callable[[Request, Hypothesis], Hypothesis] = lambda _, answer: answer
    ) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self._change = change

    def run(self, request: Request) -> Hypothesis:
        self.requests.append(request)
        return self._change(request, super().run(request))


def _spelled(text: str, request: Request) -> tuple[Word, ...]:
    at = request.start
    return tuple(Word(f" {word}", at, at, at, 0.9, (9, index)) for index, word in enumerate(text.split()))


def test_what_is_final_stands_before_the_next_utterance() -> None:
    engine = Recording()
    play(make_session(), engine, cut_evenly(speak(FAR_APART)[0], 8_000))
    contexts = {request.start: request.context for request in engine.requests}
    assert list(contexts.values()) == ["", " w1. w2. w3."]


def test_a_window_that_is_still_too_short_to_be_understood_costs_no_context() -> None:
    def shy(request: Request, answer: Hypothesis) -> Hypothesis:
        """Answer like a model that takes a window of less than a second for silence."""
        short = request.pcm.shape[0] < RATE
        return replace(answer, no_speech_probability=0.8, average_logprob=-1.5) if short else answer

    engine = Recording(shy)
    play(make_session(prompt="Weiß."), engine, cut_evenly(speak(FAR_APART)[0], 8_000))
    assert {request.prompt for request in engine.requests} == {"Weiß."}
    assert engine.requests[-1].context == " w1. w2. w3."


def test_context_can_be_switched_off() -> None:
    engine = Recording()
    play(make_session(context=False), engine, cut_evenly(speak(TWO_UTTERANCES)[0], 8_000))
    assert {request.context for request in engine.requests} == {""}


def test_the_prompt_stands_before_every_window_and_keywords_do_not() -> None:
    """A bare list of words makes a model omit punctuation, and write the words where nobody says them."""
    engine = Recording()
    session = make_session(prompt="Professor Weiß.", keywords="exam,final project")
    play(session, engine, cut_evenly(speak(TWO_UTTERANCES)[0], 8_000))
    assert {request.prompt for request in engine.requests} == {"Professor Weiß."}


def _echo(request: Request, answer: Hypothesis) -> Hypothesis:
    """Answer like a model that writes the words of its prompt."""
    return (
        replace(answer, words=_spelled("the exam", request)[len(request.prefix) // 2 :])
        if request.prompt
        else answer
    )


def test_a_keyword_that_only_the_prompt_puts_there_is_not_told() -> None:
    events = play(
        make_session(prompt="Exam, deadline.", keywords="exam"),
        Recording(_echo),
        cut_evenly(speak([0.1, 0.1, 0.1])[0], 8_000),
    )
    assert not [event for event in events if isinstance(event, KeywordSpotted)]
    assert "exam" in "".join(final.text for final in finals(events))


def test_a_keyword_of_an_earlier_utterance_does_not_confirm_that_of_the_prompt() -> None:
    """The second utterance hears the first one again, but its keyword comes from the prompt alone."""

    def echo(request: Request, answer: Hypothesis) -> Hypothesis:
        words = [replace(word, text=" w1.") if word.text == " w3." else word for word in answer.words]
        return replace(answer, words=tuple(words)) if request.prompt else answer

    engine = Recording(echo)
    session = make_session(prompt="w1, w7.", keywords="w1")
    events = play(session, engine, cut_evenly(speak([0.1, 1.4, 0.1, 0.1])[0], 8_000))
    hits = {event.number for event in events if isinstance(event, KeywordSpotted) and event.final}
    assert len(hits) == 1
    assert words(events).count(" w1.") == 2
    checks = [request for request in engine.requests if not request.prompt]
    assert any(request.start > RATE for request in checks)


def test_a_keyword_that_is_heard_without_the_prompt_is_told() -> None:
    engine = Recording()
    session = make_session(prompt="w2, w7.", keywords="w2")
    events = play(session, engine, cut_evenly(speak([0.1, 0.1, 0.1])[0], 8_000))
    hits = [event for event in events if isinstance(event, KeywordSpotted)]
    assert hits and hits[-1].final and not hits[-1].retracted
    # The keyword is checked once, not with every answer.
    assert sum(not request.prompt for request in engine.requests) == 1


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


def test_the_words_before_a_cut_are_the_context_of_the_next_window() -> None:
    engine = Recording()
    pcm, said = speak([0.06, 0.11, 0.04, 0.2, 0.08] * 30)
    heard = words(play(make_session(), engine, cut_evenly(pcm, 8_000)))
    assert heard == said
    contexts = dict.fromkeys(request.context for request in engine.requests)
    assert len(contexts) == 3 and all(context in "".join(said) for context in contexts)


def _loop_if_told(request: Request, answer: Hypothesis) -> Hypothesis:
    if not (request.context or request.prompt):
        return answer
    return replace(answer, words=_spelled("and so on " * 8, request))


def test_a_loop_that_the_context_has_started_is_decoded_again_without_it() -> None:
    pcm, said = speak(FAR_APART)
    engine = Recording(_loop_if_told)
    assert words(play(make_session(), engine, cut_evenly(pcm, 8_000))) == said
    kinds = [bool(request.context) for request in engine.requests if request.start > 0]
    # The utterance is asked with context once, and from then on without.
    assert sum(kinds) == 1


def test_a_loop_that_the_prompt_has_started_is_decoded_again_without_it() -> None:
    pcm, said = speak(TWO_UTTERANCES)
    assert words(play(make_session(prompt="x"), Recording(_loop_if_told), cut_evenly(pcm, 8_000))) == said


def test_an_utterance_that_a_prompt_has_silenced_is_decoded_again_without_it() -> None:
    def silent_if_told(request: Request, answer: Hypothesis) -> Hypothesis:
        return replace(answer, words=()) if request.context else answer

    pcm, said = speak([0.1, 1.4, 0.1])
    assert words(play(make_session(), Recording(silent_if_told), cut_evenly(pcm, 8_000))) == said


def test_a_loop_without_a_prompt_is_not_asked_again_for_ever() -> None:
    def loop(request: Request, answer: Hypothesis) -> Hypothesis:
        return replace(answer, words=_spelled("and so on " * 8, request)[len(request.prefix) // 2 :])

    engine = Recording(loop)
    told = words(play(make_session(), engine, cut_evenly(speak([0.1] * 6)[0], 8_000)))
    assert told[:3] == [" and", " so", " on"]
    assert len(engine.requests) < 20


# -- languages -----------------------------------------------------------------------------------------

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
    play(make_session(), engine, cut_evenly(speak(TWO_UTTERANCES)[0], 8_000))
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


def test_a_keyword_of_the_prompt_is_told_where_the_prompt_was_left_out() -> None:
    def silent_if_told(request: Request, answer: Hypothesis) -> Hypothesis:
        return replace(answer, words=()) if request.prompt else answer

    session = make_session(prompt="w2, w7.", keywords="w2")
    events = play(session, Recording(silent_if_told), cut_evenly(speak([0.1, 0.1, 0.1])[0], 8_000))
    hits = [event for event in events if isinstance(event, KeywordSpotted)]
    assert hits and hits[-1].final

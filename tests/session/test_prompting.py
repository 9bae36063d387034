"""Prompt and context in requests, and the retries when they mislead the model."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes import RATE, Recording, cut_evenly, finals, make_session, play, speak, words
from whisper_service.engine.request import Hypothesis, Request, Word
from whisper_service.events import KeywordSpotted

TWO_UTTERANCES = [0.1, 0.1, 1.4, 0.1, 0.1]
#: Two utterances that are too far apart for one window.
FAR_APART = [0.1, 0.1, 22.0, 0.1, 0.1]


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


def test_a_keyword_of_the_prompt_is_told_where_the_prompt_was_left_out() -> None:
    def silent_if_told(request: Request, answer: Hypothesis) -> Hypothesis:
        return replace(answer, words=()) if request.prompt else answer

    session = make_session(prompt="w2, w7.", keywords="w2")
    events = play(session, Recording(silent_if_told), cut_evenly(speak([0.1, 0.1, 0.1])[0], 8_000))
    hits = [event for event in events if isinstance(event, KeywordSpotted)]
    assert hits and hits[-1].final

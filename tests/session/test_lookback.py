"""The look-back: a window contains the utterances before its own once more."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from tests.fakes import (
    RATE,
    FakeDetector,
    FakeEngine,
    Recording,
    Samples,
    cut_evenly,
    finals,
    make_session,
    play,
    speak,
    words,
)
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.session.lookback import LONGEST_SAMPLES, LOOK_BACK_SAMPLES
from whisper_service.session.session import Session

#: With beams, the last hypothesis of an utterance is asked for at its end, and not in the pause before it.
BEAMS = {"beam_size": 2}
THREE_UTTERANCES = [0.1, 0.1, 1.4, 0.1, 0.1, 1.4, 0.1, 0.1]


def _asked(pcm: Samples, **settings: object) -> list[Request]:
    engine = Recording()
    play(make_session(**BEAMS, **settings), engine, cut_evenly(pcm, 8_000))
    return engine.requests


def _last_of_utterances(requests: list[Request]) -> list[Request]:
    return [request for request in requests if request.kind is Kind.FINAL]


def test_the_words_of_the_look_back_are_the_prefix_and_its_audio_the_beginning() -> None:
    first, second, third = _last_of_utterances(_asked(speak(THREE_UTTERANCES)[0]))
    assert first.start == second.start == third.start
    assert (first.prefix, second.prefix[:3], third.prefix[:6]) == ((1,), (1, 2, 3), (1, 2, 3, 4, 5, 6))
    assert {request.context for request in (first, second, third)} == {""}


def test_a_window_looks_back_no_further_than_it_may() -> None:
    pcm, _ = speak([0.1, 0.1, 1.4] * 18)
    requests = _asked(pcm)
    # An utterance of three words takes 1.1 s, with under half a second of silence before and after it.
    lengths = [request.end - request.start - 3 * RATE for request in _last_of_utterances(requests)]
    assert all(length <= LONGEST_SAMPLES for length in lengths)
    # A window begins where the one before began, until that is too long ago.
    starts = [request.start for request in _last_of_utterances(requests)]
    new = [at for at in range(1, len(starts)) if starts[at] != starts[at - 1]]
    assert len(new) == 3
    assert all(lengths[at] <= LOOK_BACK_SAMPLES < lengths[at - 1] for at in new)
    last = _last_of_utterances(requests)[-1]
    assert last.context.endswith(f" w{last.prefix[0] - 1}.") and last.prefix[0] > 10


def test_each_word_is_final_once() -> None:
    pcm, said = speak(THREE_UTTERANCES * 4)
    assert words(play(make_session(), FakeEngine(), cut_evenly(pcm, 8_000))) == said


def test_without_context_a_window_is_its_utterance() -> None:
    first, second, _ = _last_of_utterances(_asked(speak(THREE_UTTERANCES)[0], context=False))
    assert first.start < second.start and second.prefix[:1] != first.prefix[:1]


def test_a_long_utterance_loses_its_look_back() -> None:
    pcm, said = speak([0.1, 0.1, 1.4] + [0.3] * 45)
    engine = Recording()
    assert words(play(make_session(), engine, cut_evenly(pcm, 8_000))) == said
    assert max(engine.windows) <= 26 * RATE
    starts = list(dict.fromkeys(request.start for request in engine.requests))
    assert starts == sorted(starts) and len(starts) >= 3  # with the look-back, without it, after a cut


def test_a_window_that_gets_too_long_makes_room_for_a_while() -> None:
    pcm, said = speak([0.1, 0.1, 1.0] * 7 + [0.3] * 32)
    engine = Recording()
    assert words(play(make_session(), engine, cut_evenly(pcm, 8_000))) == said
    starts = list(dict.fromkeys(request.start for request in engine.requests))
    shrunk = [
        next(request.end for request in engine.requests if request.start == start) for start in starts[1:]
    ]
    assert len(shrunk) == 2 and all(after - before >= 4 * RATE for before, after in pairwise(shrunk))


def test_a_language_is_detected_in_the_utterance_alone() -> None:
    class Bilingual(Recording):
        def run(self, request: Request) -> Hypothesis:
            answer = super().run(request)
            detected = "en" if request.start < 3 * RATE else "de"
            return replace(answer, language=request.language or detected, detected=detected)

    engine = Bilingual()
    settings = StreamSettings(policy="local_agreement")
    session = Session("s", settings, grid_samples=8_000, languages=frozenset({"en", "de"}))
    pcm, said = speak([0.1] * 6 + [1.4] + [0.1] * 9 + [1.4] + [0.1] * 9)
    told = finals(play(session, engine, cut_evenly(pcm, 8_000)))
    assert "".join(final.text for final in told) == "".join(said)
    assert [final.language for final in told][-1] == "de" and told[0].language == "en"
    detecting = [request for request in engine.requests if request.detect]
    assert all(not request.prefix for request in detecting)
    english_end = max(final.end for final in told if final.language == "en")
    # A German window never looks back into English. The second German utterance has the ten words of the
    # first in its prefix.
    assert min(request.start for request in engine.requests if request.language == "de") >= english_end
    assert any(len(request.prefix) >= 10 for request in engine.requests if request.language == "de")


def test_a_look_back_that_leads_the_model_astray_is_left_out() -> None:
    class Repeating(Recording):
        """Falls into a loop if a window looks back over more than three words."""

        def run(self, request: Request) -> Hypothesis:
            answer = super().run(request)
            if request.start > 2 * RATE or len(request.prefix) <= 3:
                return answer
            again = tuple(replace(word, text=" and so on") for word in answer.words[:1] * 8)
            return replace(answer, words=again)

    pcm, said = speak(THREE_UTTERANCES)
    assert words(play(make_session(), Repeating(), cut_evenly(pcm, 8_000))) == said


class _Terse(Recording):
    """Writes only a full stop after a look-back, unless it must speak."""

    def run(self, request: Request) -> Hypothesis:
        answer = super().run(request)
        if not request.prefix or request.must_speak:
            return answer
        return replace(answer, words=tuple(replace(word, text=".") for word in answer.words[:1]))


def test_a_model_that_writes_no_word_after_a_look_back_is_asked_to_speak() -> None:
    pcm, said = speak([1.4, 1.4, 1.4])
    engine = _Terse()
    assert words(play(make_session(), engine, cut_evenly(pcm, 8_000))) == said
    spoken = [request for request in engine.requests if request.must_speak]
    assert [request.prefix for request in spoken] == [(1,), (1, 2)]  # the look-back stays
    # They are asked in the pause, right after the same request without the duty, so the finals do not wait.
    for again in spoken:
        before = engine.requests[engine.requests.index(again) - 1]
        assert again.kind is Kind.COMMIT and before.end == again.end and not before.must_speak
        assert before.heard is not None and again.heard == (*before.heard, before.end)
    assert all(request.kind is not Kind.FINAL for request in engine.requests[1:])


def test_a_model_that_must_speak_and_only_guesses_is_not_believed() -> None:
    class Guessing(_Terse):
        def run(self, request: Request) -> Hypothesis:
            answer = super().run(request)
            return replace(answer, average_logprob=-1.5) if request.must_speak else answer

    pcm, said = speak([1.4, 1.4, 1.4])
    engine = Guessing()
    assert words(play(make_session(), engine, cut_evenly(pcm, 8_000))) == said[:1]
    # At the end of each utterance nothing is asked once more.
    assert [request.kind for request in engine.requests if request.must_speak] == [Kind.COMMIT] * 2
    assert all(request.kind is not Kind.FINAL for request in engine.requests)


def test_an_utterance_whose_words_are_likely_but_begin_with_a_guess_is_heard_alone() -> None:
    class Stumbling(_Terse):
        """Writes a wrong word before the right ones, if it must speak."""

        def run(self, request: Request) -> Hypothesis:
            answer = super().run(request)
            if not request.must_speak:
                return answer
            wrong = (replace(answer.words[0], text=" men.", probability=0.1),)
            return replace(answer, words=wrong + answer.words)

    pcm, said = speak([1.4, 1.4, 1.4])
    assert words(play(make_session(), Stumbling(), cut_evenly(pcm, 8_000))) == said


def test_a_model_is_asked_to_speak_at_the_end_if_no_pause_comes_before_it() -> None:
    pcm, said = speak([1.4, 0.1], tail_s=0.1)
    engine = _Terse()
    assert words(play(make_session(), engine, cut_evenly(pcm, 8_000))) == said
    assert engine.requests[-1].must_speak and engine.requests[-1].kind is Kind.FINAL


def test_words_that_cannot_be_believed_after_a_look_back_are_asked_for_alone() -> None:
    """The model has written words, so it need not be asked to speak."""

    class Doubtful(Recording):
        def run(self, request: Request) -> Hypothesis:
            answer = super().run(request)
            return (
                replace(answer, no_speech_probability=0.9, average_logprob=-1.5) if request.prefix else answer
            )

    pcm, said = speak([1.4, 1.4, 1.4])
    engine = Doubtful()
    assert words(play(make_session(), engine, cut_evenly(pcm, 8_000))) == said
    assert not any(request.must_speak for request in engine.requests)


def test_a_stream_that_is_given_up_has_heard_its_look_back() -> None:
    """When a stream is abandoned, its look-back does not count as audio that is not final."""
    pcm, _ = speak(THREE_UTTERANCES)
    session, engine, detector = make_session(), FakeEngine(), FakeDetector()
    waiting: list[Request] = []
    for piece in cut_evenly(pcm, 8_000):
        waiting += session.feed(piece, detector.probabilities(piece)).requests
        while waiting and not (waiting[0].kind is Kind.COMMIT and len(waiting[0].prefix) >= 6):
            waiting += session.apply(engine.run(waiting.pop(0))).requests
    assert waiting and waiting[0].start < 2 * RATE  # the third utterance looks back over both
    _, heard = session.abandon()
    assert heard > 5 * RATE


def test_a_noise_between_two_utterances_costs_no_look_back() -> None:
    """The model is asked to speak after its look-back. If it writes no word, the look-back is kept."""
    pcm, said = speak([0.1, 0.1, 1.4])
    noise = np.full(RATE, -0.25, dtype=np.float32)  # speech to the detector, no word to the engine
    after = pcm[: pcm.shape[0] - RATE]
    engine = Recording()
    whole = np.concatenate([pcm, noise, np.zeros(RATE, np.float32), after])
    told = words(play(make_session(**BEAMS), engine, cut_evenly(whole, 8_000)))
    assert told == said * 2
    last = _last_of_utterances(engine.requests)[-1]
    assert last.prefix[:3] == (1, 2, 3) and last.start < RATE
    (noise_request,) = [request for request in engine.requests if request.must_speak and not request.draft][
        :1
    ]
    assert noise_request.start < RATE < 3 * RATE < noise_request.end

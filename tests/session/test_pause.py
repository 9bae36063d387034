"""In a pause the last hypothesis is asked for before the utterance ends, so its finals wait for nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes import (
    RATE,
    FakeDetector,
    FakeEngine,
    Recording,
    Samples,
    cut_evenly,
    make_session,
    play,
    speak,
    words,
)
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.events import Final, SpeechEnded
from whisper_service.session.session import Session

#: Three words, and a pause of a second.
SAID = [0.1, 0.1, 1.0]


def _play(session: Session, engine: FakeEngine, pcm: Samples) -> list[tuple[list[object], int]]:
    """Play in slices of 20 ms; return the events of each slice, and the requests that came before them."""
    detector = FakeDetector()
    told: list[tuple[list[object], int]] = []
    for piece in cut_evenly(pcm, 320):
        step = session.feed(piece, detector.probabilities(piece))
        told.append((list(step.events), len(step.requests)))
        waiting = list(step.requests)
        while waiting:
            step = session.apply(engine.run(waiting.pop(0)))
            told[-1][0].extend(step.events)
            waiting += step.requests
    return told


@pytest.mark.parametrize(("min_silence_ms", "tail_ms"), [(200, 100), (350, 250), (500, 300), (900, 300)])
def test_the_finals_come_with_the_end_of_the_utterance(min_silence_ms: int, tail_ms: int) -> None:
    pcm, said = speak(SAID)
    engine = Recording()
    told = _play(make_session(interim=False, min_silence_ms=min_silence_ms), engine, pcm)
    ((events, requests),) = [
        slice_ for slice_ in told if any(isinstance(event, SpeechEnded) for event in slice_[0])
    ]
    (end,) = [event.at for event in events if isinstance(event, SpeechEnded)]
    assert requests == 0 and any(isinstance(event, Final) for event in events)
    assert words([event for events, _ in told for event in events]) == said
    last = engine.requests[-1]
    assert last.kind is Kind.COMMIT and last.end == end + tail_ms * RATE // 1000
    assert all(request.kind is not Kind.FINAL for request in engine.requests)


def test_in_a_pause_that_is_too_short_nothing_becomes_final() -> None:
    """And the grid asks for nothing, because the job of the pause has heard all that there is."""
    pcm, said = speak([0.1, 0.1, 0.45, 0.1, 0.1, 1.0])
    engine = Recording()
    told = _play(make_session(interim=False), engine, pcm)
    assert words([event for events, _ in told for event in events]) == said
    ends = [request.end for request in engine.requests]
    (off_the_grid, last) = [end for end in ends if end % 8_000]
    assert ends[-1] == last
    for events, _ in told[: off_the_grid // 320 + 2][-4:]:
        assert not any(isinstance(event, Final) for event in events)


def test_a_doubtful_hypothesis_is_asked_for_again_at_the_end() -> None:
    class Doubtful(Recording):
        """Takes every window that ends off the grid for silence, until the end of the utterance."""

        def run(self, request: Request) -> Hypothesis:
            answer = super().run(request)
            if request.kind is Kind.FINAL or request.end % 8_000 == 0:
                return answer
            return replace(answer, no_speech_probability=0.9, average_logprob=-1.5)

    pcm, said = speak(SAID)
    engine = Doubtful()
    assert words(play(make_session(), engine, cut_evenly(pcm, 1_600))) == said
    assert engine.requests[-1].kind is Kind.FINAL


def test_beams_are_asked_for_at_the_end() -> None:
    pcm, said = speak(SAID)
    engine = Recording()
    assert words(play(make_session(beam_size=3), engine, cut_evenly(pcm, 1_600))) == said
    assert engine.requests[-1].kind is Kind.FINAL and engine.requests[-1].beam_size == 3
    assert engine.requests[-1].end == engine.requests[-2].end

"""A request names the earlier positions at which its window was heard: the encoder goes on from them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from tests.fakes import (
    RATE,
    FakeDetector,
    FakeEngine,
    Recording,
    cut_evenly,
    make_session,
    play,
    speak,
    words,
)
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.session.session import Session

#: Two utterances, each of them longer than a second.
TALK = [0.1] * 6 + [1.4] + [0.1] * 6
#: Minutes without a pause: the window is cut.
ENDLESS = [0.3] * 90


def _asked(gaps: list[float], *, slice_samples: int = 3_200, **settings: object) -> list[Request]:
    engine = Recording()
    play(make_session(**settings), engine, cut_evenly(speak(gaps)[0], slice_samples))
    return engine.requests


def test_a_request_names_the_positions_of_the_grid_that_were_asked() -> None:
    # The second utterance of TALK begins no new window: it looks back to the first.
    for gaps, expected in ((TALK, 1), (ENDLESS, 3)):
        requests = _asked(gaps, beam_size=2)
        assert {request.kind for request in requests} == set(Kind)
        heard: tuple[int, ...] = ()
        windows = 1
        for before, request in pairwise([*requests[:1], *requests]):
            if request.start != before.start:
                heard, windows = (), windows + 1
            assert request.heard == heard or (not heard and request.heard is None)
            assert request.heard is not None or request.kind is not Kind.COMMIT
            if request.kind is Kind.COMMIT:
                heard += (request.end,)
        assert windows == expected


def test_a_window_never_shrinks() -> None:
    """The last request of an utterance ends at the last position of the grid, or later."""
    for pause in (0.7, 0.8, 0.9, 1.0, 1.1):
        for request in _asked([0.1, 0.1, 0.1, pause] * 4, min_silence_ms=600):
            heard = request.heard or ()
            assert list(heard) == sorted(heard)
            assert request.end >= max(heard, default=0)


def test_what_is_heard_does_not_depend_on_the_slices() -> None:
    def heard(slice_samples: int) -> list[tuple[int, int, tuple[int, ...] | None]]:
        requests = _asked(TALK, slice_samples=slice_samples)
        return [
            (request.start, request.end, request.heard)
            for request in requests
            if request.kind is not Kind.DISPLAY
        ]

    assert heard(1_600) == heard(8_000) == heard(50_000)


def test_a_doubtful_answer_is_asked_for_again_as_a_whole_and_then_without_context() -> None:
    """Without its context the job names its own position: its window has been encoded already."""
    session, engine, detector = make_session(prompt="Names."), FakeEngine(), FakeDetector()
    again: list[Request] = []

    def settle(session: Session, requests: tuple[Request, ...]) -> None:
        for request in requests:
            if request.kind is Kind.COMMIT and request.heard != () and request.prompt:
                # The answer repeats itself.
                answer = engine.run(request)
                loop = answer.words[:1] * 8
                step = session.apply(
                    Hypothesis("s", request.number, loop, "en", 0.0, -0.1, "en", 1.0) if loop else answer
                )
                if loop:
                    again.extend(step.requests)
            else:
                step = session.apply(engine.run(request))
            settle(session, step.requests)

    for piece in cut_evenly(speak(TALK)[0], 8_000):
        settle(session, session.feed(piece, detector.probabilities(piece)).requests)
    assert again
    # Without its look-back the window begins later, so nothing of it has been heard.
    assert {request.heard and request.heard[-1] == request.end for request in again} == {None, True, ()}
    for whole, alone in zip(again[::2], again[1::2], strict=True):
        assert whole.heard is None and whole.prompt
        assert alone.heard is not None and not alone.prompt and alone.end == whole.end


def test_the_model_goes_on_after_it_has_heard_an_utterance_alone() -> None:
    """While the language is not certain, it is detected in the utterance alone, which is heard as a whole."""

    def change(request: Request, answer: Hypothesis) -> Hypothesis:
        unsure = request.detect and request.end - request.start < RATE
        return replace(answer, detected="de" if unsure else "en", language_probability=0.4 if unsure else 1.0)

    class Unsure(Recording):
        def run(self, request: Request) -> Hypothesis:
            return change(request, super().run(request))

    engine, languages = Unsure(), frozenset({"en", "de"})
    session = Session("s", StreamSettings(), grid_samples=8_000, languages=languages)
    play(session, engine, cut_evenly(speak([*TALK, 1.4, 0.1, 0.1, 0.1])[0], 3_200))
    later = [request for request in engine.requests if request.start > RATE]
    assert any(request.detect for request in later)
    assert all(request.heard is None and request.rough for request in later)
    first = [request for request in engine.requests if request.start < RATE]
    asked = [request.end for request in first if request.kind is Kind.COMMIT]
    assert first[-1].heard == tuple(end for end in asked if end < first[-1].end)


def test_repeated_words_are_counted_by_the_whole_encoder() -> None:
    """The incremental encoder blurs how often a phrase is said."""

    class Counting(Recording):
        """Hears nothing but "five seven"."""

        def run(self, request: Request) -> Hypothesis:
            answer = super().run(request)
            texts = (" five", " seven")
            said = [replace(word, text=texts[word.tokens[0] % 2]) for word in answer.words]
            return replace(answer, words=tuple(said))

    engine = Counting()
    pcm, said = speak([0.1] * 11 + [1.0])
    assert len(words(play(make_session(), engine, cut_evenly(pcm, 8_000)))) == len(said)
    last, whole = engine.requests[-2:]
    assert last.heard and whole.heard is None and not whole.rough and whole.end == last.end
    assert all(request.heard is not None for request in engine.requests[:-1])


def test_a_check_of_the_words_alone_is_encoded_as_a_whole() -> None:
    requests = _asked(TALK, prompt="w1 w2", keywords=("w1",))
    alone = [request for request in requests if request.heard is None and request.kind is not Kind.DISPLAY]
    assert alone and all(not request.prompt and not request.rough for request in alone)
    assert max(request.end - request.start for request in alone) <= 30 * RATE

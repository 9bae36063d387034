"""A session that continues from the carry of another session makes the same finals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.conftest import Talk
from tests.fakes import RATE, FakeDetector, FakeEngine, Samples, finals, speak
from whisper_service.audio.pcm import FRAME_SAMPLES
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Request
from whisper_service.engine.runner import Runner
from whisper_service.events import Account, Done, Event, KeywordSpotted
from whisper_service.model.speech.detector import SpeechDetector, SpeechState, lead_in_start
from whisper_service.session.carry import Carry
from whisper_service.session.session import Session, Step

#: The gap after each word, in seconds: four utterances. One test flushes within the first.
TALK = [0.1, 0.1, 0.3, 0.1, 0.9, 0.05, 0.2, 0.2, 1.4, 0.1, 0.1, 0.4, 0.1, 0.8, 0.1, 0.1]
LANGUAGES = frozenset({"en"})

Answers = Callable[[Request], Hypothesis]
#: Returns the speech probabilities of a recording's frames, from the frame with the given number on.
Listens = Callable[[Samples, int], list[float]]


def _fake_speech(pcm: Samples, first: int) -> list[float]:
    return FakeDetector().probabilities(pcm[first * FRAME_SAMPLES :])


def _hear(
    pcm: Samples,
    settings: StreamSettings,
    answers: Answers,
    listens: Listens = _fake_speech,
    *,
    carry: Carry | None = None,
    languages: frozenset[str] = LANGUAGES,
    lost: tuple[int, int] = (0, 0),
    flush_at: int = -1,
) -> list[tuple[Event, ...] | Carry]:
    """Play a recording; return the events of each step, and each carry after the events of its step.

    :param carry: the state to begin from; None for the beginning of the recording.
    :param lost: slices that begin in ``[start, end)`` stand in for lost audio.
    :param flush_at: flush before the slice that contains this sample; -1 never flushes.
    """
    start = carry or Carry()
    session = Session("s", settings, grid_samples=8_000, languages=languages, carry=carry)
    speech = listens(pcm, start.frame)
    told: list[tuple[Event, ...] | Carry] = []

    def settle(step: Step) -> None:
        told.append(step.events)
        if step.carry is not None:
            told.append(step.carry)
        for request in step.requests:
            settle(session.apply(answers(request)))

    end_frame = start.frame
    for at in range(start.audio_from, pcm.shape[0], 4_000):
        if at <= flush_at < at + 4_000:
            settle(session.flush())
        piece = pcm[at : at + 4_000]
        complete = (at + piece.shape[0]) // FRAME_SAMPLES
        known = speech[end_frame - start.frame : max(complete, end_frame) - start.frame]
        end_frame = max(complete, end_frame)
        settle(session.feed(piece, known, lost=lost[0] <= at < lost[1]))
    settle(session.finish())
    return told


def _events(told: list[tuple[Event, ...] | Carry]) -> list[Event]:
    return [event for step in told if isinstance(step, tuple) for event in step]


def _check_all_cuts(told: list[tuple[Event, ...] | Carry], again: Callable[[Carry], list[Event]]) -> int:
    """Check the finals and keyword hits of sessions that continue from each carry; return their number."""
    carries = [(at, carry) for at, carry in enumerate(told) if isinstance(carry, Carry)]
    for at, carry in carries:
        expected, found = _events(told[at:]), again(carry)
        assert finals(found) == finals(expected)
        assert [e for e in found if isinstance(e, KeywordSpotted | Done)] == [
            e for e in expected if isinstance(e, KeywordSpotted | Done)
        ]
    return len(carries)


@pytest.mark.parametrize("policy", ["confident_agreement", "local_agreement", "align_att"])
def test_every_end_of_an_utterance_is_a_place_to_go_on(policy: str) -> None:
    pcm, _ = speak(TALK)
    settings = StreamSettings(policy=policy, keywords=("w2", "w5 w6", "w9"))

    def hear(carry: Carry | None = None) -> list[tuple[Event, ...] | Carry]:
        return _hear(pcm, settings, FakeEngine().run, carry=carry, lost=(20_000, 28_000))

    assert _check_all_cuts(hear(), lambda carry: _events(hear(carry))) == 4


def test_the_account_of_a_carry_is_of_all_before_it() -> None:
    pcm, _ = speak(TALK)
    told = _hear(pcm, StreamSettings(), FakeEngine().run, lost=(20_000, 28_000))
    for carry in told:
        if isinstance(carry, Carry):
            account = carry.account
            assert account.received == carry.position == account.speech + account.silent + account.lost
    assert Carry().account == Account(received=0, speech=0, silent=0, lost=0)


def test_a_flush_in_mid_speech_is_a_place_to_go_on() -> None:
    pcm, _ = speak(TALK)

    def hear(carry: Carry | None = None) -> list[tuple[Event, ...] | Carry]:
        flush_at = 12_000 if carry is None else -1
        return _hear(pcm, StreamSettings(), FakeEngine().run, carry=carry, flush_at=flush_at)

    assert _check_all_cuts(hear(), lambda carry: _events(hear(carry))) == 5


def test_the_language_and_its_doubt_cross_the_end_of_an_utterance() -> None:
    pcm, _ = speak([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.1])

    def bilingual(request: Request) -> Hypothesis:
        answer = FakeEngine().run(request)
        detected = "en" if request.start < 3 * RATE else "de"
        return replace(answer, language=request.language or detected, detected=detected)

    def hear(carry: Carry | None = None) -> list[tuple[Event, ...] | Carry]:
        return _hear(pcm, StreamSettings(), bilingual, carry=carry, languages=frozenset({"en", "de"}))

    told = hear()
    assert {final.language for final in finals(_events(told))} == {"en", "de"}
    assert _check_all_cuts(told, lambda carry: _events(hear(carry))) >= 4


@pytest.mark.parametrize("seconds", [11, pytest.param(120, marks=pytest.mark.slow)])
def test_a_real_talk_goes_on_at_every_end_of_an_utterance(runner: Runner, talk: Talk, seconds: int) -> None:
    """The same promise, with the real speech detector and engine."""
    pcm, detector = talk.pcm[: seconds * RATE], SpeechDetector()

    def listens(pcm: Samples, first: int) -> list[float]:
        return detector.probabilities([(SpeechState(first), pcm[lead_in_start(first) :])])[0]

    def hear(carry: Carry | None = None) -> list[tuple[Event, ...] | Carry]:
        return _hear(pcm, StreamSettings(), runner.run, listens, carry=carry)

    told = hear()
    carries = [(at, carry) for at, carry in enumerate(told) if isinstance(carry, Carry)]
    assert len(carries) >= seconds // 8
    for at, carry in carries:
        expected, found = finals(_events(told[at:])), finals(_events(hear(carry)))
        assert [(final.number, final.text) for final in found] == [
            (final.number, final.text) for final in expected
        ]

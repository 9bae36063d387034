"""A session that continues from the carry of another session makes the same finals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.conftest import Talk
from tests.fakes import RATE, FakeDetector, FakeEngine, Samples, finals, speak
from whisper_service.audio.pcm import FRAME_SAMPLES
from whisper_service.config import POLICIES, StreamSettings
from whisper_service.engine.request import Hypothesis, Request
from whisper_service.engine.runner import Runner
from whisper_service.events import Account, Done, Event, Final, KeywordSpotted
from whisper_service.model.speech.detector import SpeechDetector, SpeechState, lead_in_start
from whisper_service.session.carry import Carry
from whisper_service.session.packing import pack, unpack
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
    grid: int = 8_000,
) -> list[Event | Carry]:
    """Play a recording; return the events and the carries.

    :param carry: the state to begin from; None for the beginning of the recording.
    :param lost: slices that begin in ``[start, end)`` stand in for lost audio.
    :param flush_at: flush before the slice that contains this sample; -1 never flushes.
    :param grid: distance between the positions of the grid, in samples.
    """
    if carry is not None:  # it comes in a token
        carry = unpack(json.loads(json.dumps(pack(carry))))
    start = carry or Carry()
    session = Session("s", settings, grid_samples=grid, languages=languages, carry=carry)
    speech = listens(pcm, start.frame)
    told: list[Event | Carry] = []

    def settle(step: Step) -> None:
        told.extend(step.events)
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


def _events(told: list[Event | Carry]) -> list[Event]:
    return [event for event in told if not isinstance(event, Carry)]


def _check_all_cuts(told: list[Event | Carry], again: Callable[[Carry], list[Event]]) -> int:
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

    def hear(carry: Carry | None = None) -> list[Event | Carry]:
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

    def hear(carry: Carry | None = None) -> list[Event | Carry]:
        flush_at = 12_000 if carry is None else -1
        return _hear(pcm, StreamSettings(), FakeEngine().run, carry=carry, flush_at=flush_at)

    assert _check_all_cuts(hear(), lambda carry: _events(hear(carry))) == 5


def test_the_language_and_its_doubt_cross_the_end_of_an_utterance() -> None:
    pcm, _ = speak([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.1])

    def bilingual(request: Request) -> Hypothesis:
        answer = FakeEngine().run(request)
        detected = "en" if request.start < 3 * RATE else "de"
        return replace(answer, language=request.language or detected, detected=detected)

    def hear(carry: Carry | None = None) -> list[Event | Carry]:
        return _hear(pcm, StreamSettings(), bilingual, carry=carry, languages=frozenset({"en", "de"}))

    told = hear()
    assert {final.language for final in finals(_events(told))} == {"en", "de"}
    assert _check_all_cuts(told, lambda carry: _events(hear(carry))) >= 4


def _breaks(told: list[Event | Carry]) -> list[tuple[Carry, list[Event]]]:
    """Return the states in which a client may lose its connection, and the events that it lacks by then.

    The client has everything up to a final or a carry.
    """
    found: list[tuple[Carry, list[Event]]] = []
    last, since = Carry(), list[Final]()
    for index, event in enumerate(told):
        if isinstance(event, Carry):
            last, since = event, []
        elif isinstance(event, Final):
            since.append(event)
        if isinstance(event, Carry | Final):
            found.append((replace(last, told=tuple(since)), _events(told[index + 1 :])))
    return found


@pytest.mark.parametrize("policy", ["confident_agreement", "local_agreement", "align_att"])
@pytest.mark.parametrize("beam_size", [1, 2])
def test_every_final_is_a_place_to_go_on(policy: str, beam_size: int) -> None:
    """Finals in the middle of an utterance are made again, and the client is told of none of them twice."""
    pcm, _ = speak([*TALK, *[0.1] * 70])  # the last utterance is so long that it is cut
    settings = StreamSettings(policy=policy, beam_size=beam_size, keywords=("w2", "w5 w6", "w9"))

    def hear(carry: Carry | None = None) -> list[Event | Carry]:
        return _hear(pcm, settings, FakeEngine().run, carry=carry, lost=(20_000, 28_000))

    breaks = _breaks(hear())
    assert len(breaks) > 25 and max(len(carry.told) for carry, _ in breaks) > 10
    for carry, expected in breaks[:: 1 if (policy, beam_size) == (POLICIES[0], 1) else 5]:
        found = _events(hear(carry))
        assert finals(found) == finals(expected)
        assert found[-1] == expected[-1]


def test_the_finals_that_a_client_has_stay_even_if_the_model_hears_other_words_now() -> None:
    """Another machine may compute in another precision. No final changes, none comes twice, none is lost."""
    pcm, spoken = speak([*TALK, *[0.1] * 70])

    def other_words(request: Request) -> Hypothesis:
        answer = FakeEngine().run(request)
        renamed = tuple(replace(word, text=word.text.replace("w", "v")) for word in answer.words)
        return replace(answer, words=renamed)

    whole = _hear(pcm, StreamSettings(), FakeEngine().run)
    numbers = [text.strip(" w.") for text in spoken]
    for carry, expected in _breaks(whole)[::3]:
        missing = finals(expected)[0].number if finals(expected) else len(finals(_events(whole)))
        before = finals(_events(whole))[:missing]
        found = finals(_events(_hear(pcm, StreamSettings(), other_words, carry=carry)))
        assert [final.number for final in found] == list(range(missing, missing + len(found)))
        assert all(" w" not in final.text for final in found)
        texts = [word.text.strip(" wv.") for final in (*before, *found) for word in final.words]
        assert texts == numbers


def test_the_finals_that_a_client_has_stay_even_if_the_next_session_asks_at_other_positions() -> None:
    """The next server may have another grid, or a flush of the client may not come again."""
    pcm, spoken = speak([*TALK, *[0.1] * 40])
    for beam_size in (1, 2):
        settings = StreamSettings(beam_size=beam_size)
        whole = _hear(pcm, settings, FakeEngine().run, flush_at=28_000)  # between two words
        for carry, expected in _breaks(whole)[::3]:
            found = finals(_events(_hear(pcm, settings, FakeEngine().run, carry=carry, grid=12_800)))
            kept = len(finals(_events(whole))) - len(finals(expected))
            texts = [word.text for final in (*finals(_events(whole))[:kept], *found) for word in final.words]
            assert texts == spoken


def _last_of_each_hit(events: list[Event]) -> dict[int, KeywordSpotted]:
    return {event.number: event for event in events if isinstance(event, KeywordSpotted)}


@pytest.mark.parametrize("policy", ["confident_agreement", "local_agreement", "align_att"])
def test_every_cut_of_endless_speech_is_a_place_to_go_on(policy: str) -> None:
    """Speech without a pause is cut after 22 s: a client must not send minutes of it again."""
    pcm, spoken = speak([0.1] * 170)
    keywords = tuple(f"w{number}" for number in range(1, 170, 3))
    settings = StreamSettings(policy=policy, keywords=keywords)

    def hear(carry: Carry | None = None) -> list[Event | Carry]:
        return _hear(pcm, settings, FakeEngine().run, carry=carry, lost=(400_000, 404_000))

    told = hear()
    carries = [carry for carry in told if isinstance(carry, Carry)]
    assert sum(carry.unfinished is not None for carry in carries) >= 3
    assert any(carry.keywords.pending for carry in carries)
    assert all(later.position - earlier.position < 24 * RATE for earlier, later in pairwise(carries))
    for carry in carries:
        expected, found = _events(told[told.index(carry) :]), _events(hear(carry))
        assert finals(found) == finals(expected)
        # Partials may differ, so pending hits may too. What becomes of each hit may not.
        assert _last_of_each_hit(found) == _last_of_each_hit(expected)
        assert found[-1] == expected[-1]
    breaks = _breaks(told)
    assert max(len(carry.told) for carry, _ in breaks) < 60
    for carry, expected in breaks[::9]:
        assert finals(_events(hear(carry))) == finals(expected)
    assert [word.text for final in finals(_events(told)) for word in final.words] == spoken


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999, 1.0])
def test_a_client_may_end_before_it_has_sent_its_audio_again(share: float) -> None:
    """It has sent so much of what is before the place to go on."""
    pcm, _ = speak([*[0.1, 0.1, 1.2] * 4, *[0.1] * 80, *[1.2, 0.1] * 3])
    told = _hear(pcm, StreamSettings(), FakeEngine().run)
    carries = [carry for carry in told if isinstance(carry, Carry) and carry.audio_from < carry.position]
    assert {carry.unfinished is None for carry in carries} == {True, False}
    for carry in carries:
        end = carry.audio_from + round(share * (carry.position - carry.audio_from))
        *_, last = _events(_hear(pcm[:end], StreamSettings(), FakeEngine().run, carry=carry))
        assert isinstance(last, Done) and last.account == carry.account


def test_silence_is_a_place_to_go_on_every_five_seconds() -> None:
    pcm, _ = speak([0.1, 0.1, 18.0, 0.1, 7.0, 0.1, 0.1], lead_s=6.0)

    def hear(carry: Carry | None = None) -> list[Event | Carry]:
        return _hear(pcm, StreamSettings(), FakeEngine().run, carry=carry)

    told = hear()
    positions = [carry.position / RATE for carry in told if isinstance(carry, Carry)]
    assert all(later - earlier < 7.0 for earlier, later in pairwise([0.0, *positions]))
    assert _check_all_cuts(told, lambda carry: _events(hear(carry))) >= 7


@pytest.mark.parametrize(
    ("seconds", "settings", "thinned"),
    [
        (11, StreamSettings(), 9),
        (20, StreamSettings(min_silence_ms=3_000, max_utterance_s=10.0), 20),  # it is cut
        pytest.param(120, StreamSettings(), 1, marks=pytest.mark.slow),
    ],
)
def test_a_real_talk_goes_on_after_every_final(
    runner: Runner, talk: Talk, seconds: int, settings: StreamSettings, thinned: int
) -> None:
    """The same promise, with the real speech detector and engine."""
    pcm, detector = talk.pcm[: seconds * RATE], SpeechDetector()

    def listens(pcm: Samples, first: int) -> list[float]:
        return detector.probabilities([(SpeechState(first), pcm[lead_in_start(first) :])])[0]

    def hear(carry: Carry | None = None) -> list[Event | Carry]:
        return _hear(pcm, settings, runner.run, listens, carry=carry)

    breaks = _breaks(hear())
    assert any(carry.unfinished for carry, _ in breaks) == (settings.max_utterance_s == 10.0)
    assert len(breaks) >= seconds // 3
    for carry, expected in breaks[::thinned]:
        assert [(final.number, final.text, final.start) for final in finals(_events(hear(carry)))] == [
            (final.number, final.text, final.start) for final in finals(expected)
        ]

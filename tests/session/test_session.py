"""The promise of a session: its finals are a function of the samples alone."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import (
    RATE,
    FakeDetector,
    FakeEngine,
    cut_evenly,
    cut_randomly,
    done,
    finals,
    make_session,
    play,
    speak,
    told,
    words,
)
from whisper_service.config import POLICIES
from whisper_service.engine.request import STEP_SAMPLES, Hypothesis, Kind, Request
from whisper_service.events import Event, Final, Partial, SpeechEnded, SpeechStarted
from whisper_service.session.questions import COARSEST
from whisper_service.session.session import Step

# The gap after each word, in seconds: three utterances. The shorter gaps do not end an utterance.
TALK = [0.1, 0.1, 0.3, 0.1, 0.9, 0.05, 0.2, 0.2, 1.4, 0.1, 0.1, 0.4, 0.1, 0.1]


class StartingEngine(FakeEngine):
    """A fake engine that records the first sample of each window."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[int] = []

    def run(self, request: Request) -> Hypothesis:
        self.starts.append(request.start)
        return super().run(request)


def test_finals_are_the_words_that_were_spoken() -> None:
    pcm, said = speak(TALK)
    assert words(play(make_session(), FakeEngine(), cut_evenly(pcm, 8_000))) == said


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("samples", [1, 320, 8_000, 8_400, 48_000, 10**9])
def test_finals_do_not_depend_on_the_length_of_slices(samples: int, policy: str) -> None:
    pcm, said = speak(TALK if samples > 1 else TALK[:4])
    heard = play(make_session(policy=policy), FakeEngine(), [pcm])
    assert words(heard) == said
    again = play(make_session(policy=policy), FakeEngine(), cut_evenly(pcm, samples))
    assert finals(again) == finals(heard)


@pytest.mark.parametrize("seed", range(10))
def test_finals_do_not_depend_on_random_slices(seed: int) -> None:
    pcm, _ = speak(TALK)
    expected = finals(play(make_session(), FakeEngine(), [pcm]))
    assert finals(play(make_session(), FakeEngine(), cut_randomly(pcm, seed, 30_000))) == expected


@pytest.mark.parametrize("seed", range(10))
def test_finals_do_not_depend_on_when_and_in_which_order_answers_come(seed: int) -> None:
    dice = random.Random(seed)
    talks = [speak([dice.choice([0.05, 0.1, 0.3, 0.9]) for _ in range(20)])[0] for _ in range(4)]
    expected = [finals(play(make_session(), FakeEngine(), [pcm])) for pcm in talks]

    sessions = [make_session() for _ in talks]
    detectors = [FakeDetector() for _ in talks]
    slices = [cut_randomly(pcm, seed + 100 * index, 12_000) for index, pcm in enumerate(talks)]
    engine, waiting = FakeEngine(), []
    events: list[list[Event]] = [[] for _ in talks]

    def take(index: int, step: Step) -> None:
        events[index].extend(step.events)
        waiting.extend((index, request) for request in step.requests)

    while any(slices) or waiting or not all(session.finished for session in sessions):
        index = dice.randrange(len(talks))
        if waiting and dice.random() < 0.5:
            who, request = waiting.pop(dice.randrange(len(waiting)))
            take(who, sessions[who].apply(engine.run(request)))
        elif slices[index]:
            pcm = slices[index].pop(0)
            take(index, sessions[index].feed(pcm, detectors[index].probabilities(pcm)))
            if not slices[index]:
                take(index, sessions[index].finish())
    assert [finals(told) for told in events] == expected


def test_display_requests_do_not_change_finals() -> None:
    pcm, _ = speak(TALK)
    shown = play(make_session(), FakeEngine(), cut_evenly(pcm, 1_600))
    hidden = play(make_session(interim=False), FakeEngine(), cut_evenly(pcm, 1_600))
    assert finals(shown) == finals(hidden)
    assert not [event for event in hidden if isinstance(event, Partial)]


def test_slices_shorter_than_the_grid_are_shown_between_its_positions() -> None:
    pcm, _ = speak(TALK)
    session, detector, kinds = make_session(), FakeDetector(), []
    for piece in cut_evenly(pcm, 4_000):
        step = session.feed(piece, detector.probabilities(piece))
        kinds += [request.kind for request in step.requests]
        for request in step.requests:
            session.apply(FakeEngine().run(request))
    assert Kind.DISPLAY in kinds and Kind.COMMIT in kinds


def test_partials_hold_nothing_that_is_final() -> None:
    pcm, said = speak(TALK)
    transcript = ""
    for event in play(make_session(), FakeEngine(), cut_evenly(pcm, 4_000)):
        if isinstance(event, Final):
            transcript += event.text
        if isinstance(event, Partial) and "misheard" not in event.text:
            assert "".join(said).startswith(transcript + event.text)


def test_a_final_is_never_changed_and_ids_count_from_zero() -> None:
    pcm, _ = speak(TALK)
    told = finals(play(make_session(), FakeEngine(), cut_evenly(pcm, 4_000)))
    assert [final.number for final in told] == list(range(len(told)))
    assert all(one.end <= other.start for one, other in zip(told, told[1:], strict=False))


@pytest.mark.parametrize("cut_s", [0.0, 0.02, 0.6, 0.85, 1.3, 2.0, 2.5, 3.3, 4.1])
def test_stop_in_the_middle_loses_no_word_and_no_sample(cut_s: float) -> None:
    pcm, said = speak(TALK)
    pcm = pcm[: round(cut_s * RATE)]
    events = play(make_session(), FakeEngine(), cut_evenly(pcm, 8_000))
    heard = words(events)
    whole = [word for word in heard if "misheard" not in word]
    assert whole == said[: len(whole)] and len(heard) - len(whole) <= 1
    account = done(events).account
    assert account.received == account.speech + account.silent + account.lost == pcm.shape[0]


def test_a_word_too_short_to_count_is_heard_when_the_client_stops() -> None:
    pcm = np.concatenate([np.zeros(8_000), np.full(2_500, 3 / 1024)]).astype(np.float32)
    assert words(play(make_session(), FakeEngine(), [pcm])) == [" misheard2500."]


def test_what_is_shorter_than_speech_has_to_be_is_no_speech() -> None:
    pcm = np.concatenate([np.zeros(8_000), np.full(2_500, 3 / 1024), np.zeros(16_000)]).astype(np.float32)
    events = play(make_session(min_speech_ms=300), FakeEngine(), [pcm])
    assert events == [done(events)] and done(events).account.silent == pcm.shape[0]


def test_by_default_no_speech_is_too_short_to_be_heard() -> None:
    pcm = np.concatenate([np.zeros(8_192), np.full(512, 3 / 1024), np.zeros(16_000)]).astype(np.float32)
    engine = FakeEngine()
    events = play(make_session(), engine, [pcm])
    assert engine.windows and done(events).account.speech > 512
    assert isinstance(events[0], SpeechStarted)


def test_silence_asks_nothing_and_keeps_nothing() -> None:
    session, detector = make_session(), FakeDetector()
    for _ in range(200):
        pcm = np.zeros(8_000, dtype=np.float32)
        step = session.feed(pcm, detector.probabilities(pcm))
        assert not told(step) and not step.requests
    assert session._questions._buffer.end - session._questions._buffer.start < RATE


def test_speech_is_announced_with_its_bounds() -> None:
    pcm, _ = speak([0.1, 0.1], lead_s=1.024)
    events = play(make_session(), FakeEngine(), cut_evenly(pcm, 8_000))
    assert [event for event in events if isinstance(event, SpeechStarted | SpeechEnded)] == [
        SpeechStarted(16_384),
        SpeechEnded(27_648),  # 16,384 + 2 words and a gap, rounded up to the end of the frame
    ]


@pytest.mark.parametrize("pre_roll_ms", [0, 200, 400, 1000])
def test_the_utterance_begins_before_the_speech_that_was_heard_first(pre_roll_ms: int) -> None:
    pcm, said = speak([0.1, 0.1], lead_s=2.048)
    engine = StartingEngine()
    assert words(play(make_session(pre_roll_ms=pre_roll_ms), engine, cut_evenly(pcm, 8_000))) == said
    (start,) = set(engine.starts)
    # At a multiple of 10 ms, so that the engine can reuse the spectrogram frames it has computed.
    assert start % STEP_SAMPLES == 0
    assert 0 <= round(2.048 * RATE) - pre_roll_ms * RATE // 1000 - start < STEP_SAMPLES


def test_the_pre_roll_does_not_reach_into_the_utterance_before() -> None:
    pcm, said = speak([0.6, 0.1], lead_s=1)
    session = make_session(pre_roll_ms=2000, min_silence_ms=300)
    assert words(play(session, FakeEngine(), cut_evenly(pcm, 8_000))) == said


@pytest.mark.parametrize("longest_s", [10, 15, 22])
def test_endless_speech_is_cut_where_the_client_wants(longest_s: int) -> None:
    pcm, said = speak([0.06, 0.11, 0.04, 0.2, 0.08] * 30)
    engine = FakeEngine()
    session = make_session(max_utterance_s=longest_s)
    assert words(play(session, engine, cut_evenly(pcm, 8_000))) == said
    assert longest_s * RATE <= max(engine.windows) <= (longest_s + 1) * RATE


@pytest.mark.parametrize("more", [0, 1, 2, 160, 161, 600])  # one sample completes a frame
def test_a_flush_and_the_end_soon_after_it_leave_no_utterance_without_samples(more: int) -> None:
    pcm, _ = speak([0.1, 0.1])
    flushed = 8_000 + 4_799  # the last sample of the first word, one before the end of a frame
    session, detector = make_session(), FakeDetector()
    asked: list[Request] = []

    def settle(step: Step) -> None:
        for request in step.requests:
            asked.append(request)
            settle(session.apply(FakeEngine().run(request)))

    settle(session.feed(pcm[:flushed], detector.probabilities(pcm[:flushed])))
    settle(session.flush())
    rest = pcm[flushed : flushed + more]
    settle(session.feed(rest, detector.probabilities(rest)))
    settle(session.finish())
    assert session.finished
    assert all(request.pcm.shape[0] for request in asked)


def test_flush_makes_what_was_said_final() -> None:
    pcm, said = speak([0.1, 0.1, 0.1, 0.1], tail_s=0)
    session, engine, detector = make_session(), FakeEngine(), FakeDetector()
    events: list[Event] = []

    def settle(step: Step) -> None:
        events.extend(step.events)
        for request in step.requests:
            settle(session.apply(engine.run(request)))

    settle(session.feed(pcm, detector.probabilities(pcm)))
    settle(session.flush())
    assert words(events) == said
    settle(session.feed(pcm, detector.probabilities(pcm)))
    settle(session.finish())
    assert words(events) == [*said, *said]


def test_lost_audio_is_accounted_for_inside_and_outside_of_speech() -> None:
    pcm, said = speak([0.3, 0.3, 0.3], tail_s=2)
    session, engine, detector = make_session(), FakeEngine(), FakeDetector()
    events: list[Event] = []

    def settle(step: Step) -> None:
        events.extend(step.events)
        for request in step.requests:
            settle(session.apply(engine.run(request)))

    for start, end, lost in (
        (0, 13_000, False),
        (13_000, 17_000, True),
        (17_000, 40_000, False),
        (40_000, 60_000, True),
    ):
        settle(session.feed(pcm[start:end], detector.probabilities(pcm[start:end]), lost=lost))
    settle(session.finish())
    account = done(events).account
    assert words(events) == said
    assert account.lost == 4_000 + len(pcm[40_000:60_000])
    assert account.received == account.speech + account.silent + account.lost


def test_endless_speech_is_cut_and_no_word_is_lost_or_doubled() -> None:
    pcm, said = speak([0.06, 0.11, 0.04, 0.2, 0.08] * 60)
    engine = FakeEngine()
    assert words(play(make_session(), engine, cut_evenly(pcm, 8_000))) == said
    assert max(engine.windows) <= 28 * RATE


def test_endless_noise_without_words_is_cut_too() -> None:
    noise = np.tile(np.array([-0.1, -0.2], dtype=np.float32), 45 * RATE)
    engine = FakeEngine()
    assert words(play(make_session(), engine, cut_evenly(noise, 8_000))) == []
    assert 20 * RATE < max(engine.windows) <= 28 * RATE


@pytest.mark.parametrize("spacing_s", [2, 4])
def test_a_coarser_grid_loses_no_word_and_keeps_the_window(spacing_s: int) -> None:
    pcm, said = speak([0.06, 0.11, 0.04, 0.9, 0.2, 0.08] * 40)
    session, engine, detector = make_session(interim=False), FakeEngine(), FakeDetector()
    waiting, told = [], []
    for count, piece in enumerate(cut_evenly(pcm, 8_000)):
        step = session.feed(piece, detector.probabilities(piece))
        session.coarsen(spacing_s * RATE)
        told += step.events
        waiting += step.requests
        if count % (2 * spacing_s) == 0 and waiting:
            step = session.apply(engine.run(waiting.pop(0)))
            told += step.events
            waiting += step.requests
    steps = [session.finish()]
    while steps or waiting:
        step = steps.pop(0) if steps else session.apply(engine.run(waiting.pop(0)))
        told += step.events
        waiting += step.requests
    everything = FakeEngine()
    play(make_session(interim=False), everything, cut_evenly(pcm, 8_000))
    assert len(engine.windows) < len(everything.windows)
    assert words(told) == said and max(engine.windows) <= 30 * RATE


def test_an_answer_to_a_superseded_request_changes_nothing() -> None:
    pcm, _ = speak(TALK)
    session, detector, engine = make_session(), FakeDetector(), FakeEngine()
    display, commit = None, None
    for piece in cut_evenly(pcm, 4_000):
        for request in session.feed(piece, detector.probabilities(piece)).requests:
            if request.kind is Kind.DISPLAY:
                display = request
            elif display is None:
                session.apply(engine.run(request))
            else:
                commit = request
        if commit is not None:
            break
    assert display is not None and commit is not None
    assert session.apply(engine.run(display)) == Step()
    assert session.apply(engine.run(commit)) != Step()
    assert session.apply(engine.run(commit)) == Step()


def test_where_whisper_hears_no_speech_nothing_becomes_final() -> None:
    class Unsure(FakeEngine):
        def run(self, request):  # type: ignore[no-untyped-def]
            return replace(super().run(request), no_speech_probability=0.9, average_logprob=-1.5)

    pcm, _ = speak(TALK)
    assert words(play(make_session(), Unsure(), cut_evenly(pcm, 8_000))) == []


def test_with_the_coarsest_grid_no_window_is_longer_than_the_model_takes() -> None:
    pcm, said = speak([0.25] * 200)
    session, engine, detector = make_session(), FakeEngine(), FakeDetector()
    waiting: list[Request] = []
    events: list[Event] = []

    def take(step: Step) -> None:
        events.extend(step.events)
        waiting.extend(step.requests)

    for number, piece in enumerate(cut_evenly(pcm, 8_000)):
        take(session.feed(piece, detector.probabilities(piece)))
        if number > 40:  # from 20 s on the machine is slow
            session.coarsen(COARSEST)
        if waiting and (number <= 40 or number % 20 == 0):
            take(session.apply(engine.run(waiting.pop(0))))
    take(session.finish())
    session.coarsen(COARSEST)
    while waiting:
        take(session.apply(engine.run(waiting.pop(0))))
        session.coarsen(COARSEST)
    assert max(engine.windows) <= 30 * RATE
    assert "".join(words(events)) == "".join(said)

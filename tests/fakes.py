"""Fast and exact fakes: speech made of bursts, and an engine that reads the words from the bursts.

A word is a burst of constant amplitude. The amplitude encodes the number of the word. So a hypothesis is a
pure function of the window, like that of a real engine, and the spoken words are known exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from whisper_service.audio.pcm import FRAME_SAMPLES
from whisper_service.config import StreamSettings
from whisper_service.engine.request import EngineInfo, Hypothesis, Request, Word
from whisper_service.events import Done, Event, Final
from whisper_service.session.carry import Carry
from whisper_service.session.session import Session, Step

Samples = NDArray[np.float32]

RATE = 16_000
#: The description that a fake engine gives of itself.
INFO = EngineInfo("fake", frozenset({"en"}), "cpu", "float32")
WORD_SAMPLES = 4_800  # 300 ms
_STEP = 1 / 1024  # amplitude of word 1; exact in float32


def speak(gaps_s: Sequence[float], *, lead_s: float = 0.5, tail_s: float = 1.0) -> tuple[Samples, list[str]]:
    """Return audio of ``len(gaps_s)`` words, each followed by its gap, and the texts of the words."""
    pieces = [np.zeros(round(lead_s * RATE), dtype=np.float32)]
    for number, gap_s in enumerate(gaps_s, start=1):
        pieces += [
            np.full(WORD_SAMPLES, number * _STEP, dtype=np.float32),
            np.zeros(round(gap_s * RATE), dtype=np.float32),
        ]
    pieces.append(np.zeros(round(tail_s * RATE), dtype=np.float32))
    return np.concatenate(pieces), [f" w{number}." for number in range(1, len(gaps_s) + 1)]


class FakeDetector:
    """Reports speech in each frame that is not digital silence."""

    def __init__(self) -> None:
        self._pending: Samples = np.zeros(0, dtype=np.float32)

    def probabilities(self, pcm: Samples) -> list[float]:
        audio = np.concatenate([self._pending, pcm])
        count = audio.shape[0] // FRAME_SAMPLES
        self._pending = audio[count * FRAME_SAMPLES :]
        frames = audio[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
        return [float(frame.any()) for frame in frames]


class FakeEngine:
    """Reads the words of a window. A word that is cut off is misheard. Each word ends with a full stop.

    :param garble: whether every answer spells every word in another way, so that hypotheses never agree.
    """

    def __init__(self, *, garble: bool = False) -> None:
        self.windows: list[int] = []
        self._garble = garble

    def run(self, request: Request) -> Hypothesis:
        pcm = request.pcm
        self.windows.append(pcm.shape[0])
        # Only samples above zero are words. Tests may use samples below zero as noise.
        edges = np.flatnonzero(np.diff(np.concatenate([[0.0], pcm.clip(min=0.0), [0.0]])))
        words = [
            self._word(request, round(float(pcm[start]) / _STEP), int(start), int(end))
            for start, end in zip(edges[:-1], edges[1:], strict=True)
            if pcm[start] > 0
        ]
        return Hypothesis(
            stream=request.stream,
            number=request.number,
            words=tuple(words[len(request.prefix) :]),
            language=request.language or "en",
            no_speech_probability=0.0,
            average_logprob=-0.1,
            detected="en",
            language_probability=1.0,
        )

    def _word(self, request: Request, number: int, start: int, end: int) -> Word:
        spelled = f" w{number}" if end - start == WORD_SAMPLES else f" misheard{end - start}"
        if self._garble:
            # The letters are random, because text that compresses well is taken for a loop.
            spelled += f"x{random.Random(1000 * request.number + number).getrandbits(32):08x}"
        start, end = request.start + start, request.start + end
        return Word(f"{spelled}.", start, end, end, 0.9, (number,))


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


def make_session(**settings: object) -> Session:
    """Return a session whose words are final once two answers agree, unless ``settings`` set a policy."""
    return Session(
        "test",
        StreamSettings(policy="local_agreement").merged(settings),
        grid_samples=8_000,
        languages=frozenset({"en"}),
    )


def cut_evenly(pcm: Samples, samples: int) -> list[Samples]:
    return [pcm[start : start + samples] for start in range(0, pcm.shape[0], samples)]


def cut_randomly(pcm: Samples, seed: int, longest: int) -> list[Samples]:
    dice = random.Random(seed)
    slices, start = [], 0
    while start < pcm.shape[0]:
        size = dice.randint(1, longest)
        slices.append(pcm[start : start + size])
        start += size
    return slices


def play(
    session: Session, engine: FakeEngine, slices: Iterable[Samples], *, stop: bool = True
) -> list[Event]:
    """Feed the slices, answer every request at once, and return all events."""
    detector = FakeDetector()
    events: list[Event] = []

    def settle(step: Step) -> None:
        events.extend(told(step))
        for request in step.requests:
            settle(session.apply(engine.run(request)))

    for pcm in slices:
        settle(session.feed(pcm, detector.probabilities(pcm)))
    if stop:
        settle(session.finish())
    return events


def told(step: Step) -> list[Event]:
    """Return the events of a step without its carries."""
    return [event for event in step.events if not isinstance(event, Carry)]


def finals(events: Iterable[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def words(events: Iterable[Event]) -> list[str]:
    return [word.text for final in finals(events) for word in final.words]


def done(events: Sequence[Event]) -> Done:
    last = events[-1]
    assert isinstance(last, Done)
    return last

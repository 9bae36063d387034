"""A stream without a socket: its engine is slow or broken, and its frames are kept in a list."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

import gevent

from tests.fakes import FakeDetector, FakeEngine, Samples
from whisper_service.audio.pcm import FRAME_SAMPLES
from whisper_service.audio.stream import ContainerThreads
from whisper_service.capacity import Capacity
from whisper_service.config import RawFormat, StreamSettings
from whisper_service.engine.bridge import OnAnswer
from whisper_service.engine.pace import Pace
from whisper_service.engine.request import EngineInfo, Request
from whisper_service.errors import InternalError, TranscriptionError
from whisper_service.live import Stream
from whisper_service.parts import Arrival, Parts
from whisper_service.protocol.dialects import of_transcribe

F32 = RawFormat("f32le", 16_000, 1)
STOP = '{"type": "stop"}'
INFO = EngineInfo("fake", frozenset({"en"}), "cpu", "float32", warnings=("It is a fake.",))
TALK = [0.1, 0.1, 0.3, 0.1, 0.9, 0.05, 0.2, 0.2, 1.4, 0.1, 0.1, 0.4, 0.1, 0.1]


class LateEngine:
    """Answers every request after a random delay, so the answers of different streams come in any order."""

    def __init__(self, *, delay_s: float = 0.01, fail: bool = False) -> None:
        self._engine = FakeEngine()
        self._delay_s = delay_s
        self._dice = random.Random(0)
        self._fail = fail
        self.cancelled: list[str] = []

    def info(self) -> EngineInfo:
        return INFO

    def submit(self, request: Request, on_answer: OnAnswer) -> None:
        answer = InternalError("broken") if self._fail else self._engine.run(request)
        gevent.spawn_later(self._dice.uniform(0, self._delay_s), on_answer, answer)

    def cancel(self, stream: str) -> None:
        self.cancelled.append(stream)


class Speech:
    def probabilities(self, state: FakeDetector, pcm: Samples) -> list[float]:
        gevent.sleep(0)
        return state.probabilities(pcm)


class NoSpeech(Speech):
    """Hears no speech: the fake engine would take real audio for thousands of words."""

    def probabilities(self, state: FakeDetector, pcm: Samples) -> list[float]:
        return [0.0 for _ in super().probabilities(state, pcm)]


def parts_of(engine: LateEngine, clock: Callable[[], float] = time.monotonic) -> Parts:
    return Parts(
        engine=engine,
        speech=Speech(),
        speech_state=lambda first: FakeDetector(),
        lead_in_start=lambda frame: frame * FRAME_SAMPLES,
        containers=ContainerThreads(4),
        in_thread=lambda function: function(),
        max_message_bytes=1_000_000,
        max_audio_samples=3_600 * 16_000,
        grid_samples=8_000,
        drain_timeout_s=5.0,
        capacity=Capacity(lambda: Pace([(1, 0.1)]), jobs_per_s=2, limit=1000, clock=clock),
        clock=clock,
    )


class Client:
    """Runs a stream on the given frames, and keeps the frames that the stream sends."""

    def __init__(self, parts: Parts, **settings: Any) -> None:
        self.frames: list[str] = []
        self.failures: list[TranscriptionError] = []
        self._clock = parts.clock
        self.stream = Stream(
            parts,
            of_transcribe(settings, StreamSettings(), undeclared=F32),
            send=lambda frames: self.frames.extend(frame.text for frame in frames),
            fail=self.failures.append,
        )

    def run(self, frames: Iterable[str | bytes]) -> list[dict[str, Any]]:
        self.stream.run(Arrival(frame, self._clock()) for frame in frames)
        return self.messages

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.frames]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]


def raw(slices: Iterable[Samples]) -> list[str | bytes]:
    return [pcm.tobytes() for pcm in slices]

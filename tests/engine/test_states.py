"""The states of the incremental encoder only save time: whoever loses them gets the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from whisper.model import Whisper

from tests.conftest import Talk
from whisper_service.config import StreamSettings
from whisper_service.engine.request import EngineInfo, Hypothesis, Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.model.network.incremental import state_bytes
from whisper_service.model.network.precision import Precision
from whisper_service.model.speech.detector import SpeechDetector
from whisper_service.replay import replay

RATE = 16_000


class Interfering:
    """A runner whose states something happens to before each batch. It records what it answers."""

    def __init__(self, runner: Runner, happens: Callable[[Runner], None] = lambda runner: None) -> None:
        self._runner = runner
        self._happens = happens
        self.max_batch = runner.max_batch
        self.answers: list[tuple[Request, Hypothesis]] = []

    def info(self) -> EngineInfo:
        return self._runner.info()

    def forget(self, stream: str) -> None:
        self._runner.forget(stream)

    def run_batch(self, requests: Sequence[Request]) -> list[Hypothesis]:
        self._happens(self._runner)
        answers = self._runner.run_batch(requests)
        self.answers += zip(requests, answers, strict=True)
        return answers


def _told(runner: Interfering, talk: Talk, detector: SpeechDetector, *, slice_s: float) -> list[object]:
    """Play a talk; return all answers that may become final, token for token."""
    size = round(slice_s * RATE)
    pcm = talk.pcm[: 12 * RATE]
    slices = iter([pcm[start : start + size] for start in range(0, pcm.shape[0], size)])
    for _ in replay(slices, runner=runner, detector=detector, settings=StreamSettings(), grid_samples=8_000):
        pass
    return [
        (request.kind, request.start, request.end, [word.tokens for word in answer.words])
        for request, answer in runner.answers
        if request.kind is not Kind.DISPLAY
    ]


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return SpeechDetector()


@pytest.fixture(scope="module")
def undisturbed(runner: Runner, talk: Talk, detector: SpeechDetector) -> list[object]:
    told = _told(Interfering(runner), talk, detector, slice_s=0.5)
    runner.forget("file")
    assert len(told) > 15
    return told


def test_a_stream_whose_state_is_lost_at_random_moments_says_the_same(
    runner: Runner, talk: Talk, detector: SpeechDetector, undisturbed: list[object]
) -> None:
    dice = random.Random(1)
    lost = 0

    def lose(runner: Runner) -> None:
        nonlocal lost
        if dice.random() < 0.3:
            lost += 1
            runner.forget("file")

    found = _told(Interfering(runner, lose), talk, detector, slice_s=0.5)
    assert found == undisturbed and lost > 5


def test_streams_that_push_each_other_out_say_the_same(
    model: Whisper, talk: Talk, detector: SpeechDetector, undisturbed: list[object]
) -> None:
    """There is memory for one state. Before each request another stream may take it."""
    small = Runner(model, state_memory=state_bytes(model.dims, Precision.FLOAT32))
    assert small.max_batch == 1
    dice = random.Random(2)

    def push(runner: Runner) -> None:
        if dice.random() < 0.3:
            runner.run(Request("other", 0, Kind.COMMIT, 0, talk.pcm[: 2 * RATE], heard=()))

    assert _told(Interfering(small, push), talk, detector, slice_s=0.5) == undisturbed


def test_partials_between_the_positions_of_the_grid_change_nothing(
    runner: Runner, talk: Talk, detector: SpeechDetector, undisturbed: list[object]
) -> None:
    runner.forget("file")
    shown = Interfering(runner)
    assert _told(shown, talk, detector, slice_s=0.22) == undisturbed
    assert sum(request.kind is Kind.DISPLAY for request, _ in shown.answers) > 10

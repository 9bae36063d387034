"""An engine whose thread ends, fails or hangs, and a detector that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import gevent
import numpy as np
import pytest

from tests.fakes import INFO, FakeEngine
from whisper_service.engine.bridge import EngineBridge
from whisper_service.engine.listening import SpeechBridge
from whisper_service.engine.request import EngineInfo, Hypothesis, Kind, Request
from whisper_service.errors import InternalError, ModelUnavailable, TranscriptionError

pytestmark = pytest.mark.usefixtures("loop_that_knows_the_time")


class Runner:
    """A runner that calls ``fault`` before it answers."""

    max_batch = 1

    def __init__(self) -> None:
        self.fault: Callable[[], None] = lambda: None
        self.loads = 0
        self.broken = False

    def load(self) -> Runner:
        self.loads += 1
        if self.broken and self.loads > 1:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return self

    def info(self) -> EngineInfo:
        return INFO

    def run_batch(self, requests: Sequence[Request]) -> list[Hypothesis]:
        self.fault()
        return [FakeEngine().run(request) for request in requests]

    def forget(self, stream: str) -> None:
        pass


def _raises(error: BaseException) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


def _check_until_it_works(bridge: EngineBridge) -> None:
    """Check again and again, as one who asks for ``/readyz`` does: the answer comes after the call."""
    with gevent.Timeout(10):
        while bridge.trouble:
            bridge.check()
            gevent.sleep(0.02)


def _ask(bridge: EngineBridge, number: int) -> list[Hypothesis | TranscriptionError]:
    answers: list[Hypothesis | TranscriptionError] = []
    pcm = np.zeros(100, dtype=np.float32)
    bridge.submit(Request(stream="s", number=number, kind=Kind.FINAL, start=0, pcm=pcm), answers.append)
    deadline = time.monotonic() + 5
    while not answers and time.monotonic() < deadline:
        gevent.sleep(0.01)
    return answers


@pytest.fixture
def started() -> tuple[EngineBridge, Runner]:
    runner = Runner()
    bridge = EngineBridge(runner.load)
    bridge.start()
    assert bridge.wait(5)
    return bridge, runner


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts follow each other at once."""
    monkeypatch.setattr("whisper_service.engine.bridge._SHORTEST_PAUSE_S", 0.01)


def _times(count: int, error: BaseException) -> Callable[[], None]:
    """Return a fault that happens ``count`` times."""
    left = [count]

    def fault() -> None:
        if left[0]:
            left[0] -= 1
            raise error

    return fault


def test_a_request_that_fails_once_is_asked_again(started: tuple[EngineBridge, Runner]) -> None:
    bridge, runner = started
    runner.fault = _times(1, RuntimeError("CUDA error"))
    (answer,) = _ask(bridge, 1)
    assert isinstance(answer, Hypothesis) and not bridge.trouble and runner.loads == 1
    bridge.stop(5)


@pytest.mark.usefixtures("quick")
def test_a_request_that_fails_twice_is_asked_again_after_a_restart(
    started: tuple[EngineBridge, Runner], caplog: pytest.LogCaptureFixture
) -> None:
    bridge, runner = started
    runner.fault = _times(2, RuntimeError("CUDA error"))
    (answer,) = _ask(bridge, 1)
    assert isinstance(answer, Hypothesis) and not bridge.trouble and runner.loads == 2
    assert "not ready: a request failed (RuntimeError)" in caplog.text
    bridge.stop(5)


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_whose_thread_ends_is_restarted_and_answers_all(
    started: tuple[EngineBridge, Runner], caplog: pytest.LogCaptureFixture
) -> None:
    bridge, runner = started
    runner.fault = _times(1, SystemExit())  # not an Exception, so it ends the thread
    answers: list[Hypothesis | TranscriptionError] = []
    pcm = np.zeros(100, dtype=np.float32)
    for name in ("one", "two", "three"):
        bridge.submit(Request(stream=name, number=1, kind=Kind.FINAL, start=0, pcm=pcm), answers.append)
    shown = Request(stream="four", number=1, kind=Kind.DISPLAY, start=0, pcm=pcm)
    bridge.submit(shown, answers.append)
    with gevent.Timeout(10):
        while len(answers) < 3 or bridge.trouble:
            gevent.sleep(0.01)
    assert {answer.stream for answer in answers if isinstance(answer, Hypothesis)} >= {"one", "two", "three"}
    assert runner.loads == 2 and "the engine's thread has ended" in caplog.text
    bridge.stop(5)


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [RuntimeError("CUDA error"), SystemExit()])
def test_a_request_that_always_fails_gets_an_error_and_the_engine_lives(
    started: tuple[EngineBridge, Runner], error: BaseException
) -> None:
    bridge, runner = started
    runner.fault = _raises(error)
    (answer,) = _ask(bridge, 1)
    assert isinstance(answer, InternalError) and bridge.trouble
    runner.fault = lambda: None
    _check_until_it_works(bridge)
    bridge.stop(5)


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_while_an_engine_cannot_come_back_there_is_no_model(started: tuple[EngineBridge, Runner]) -> None:
    bridge, runner = started
    runner.fault = _raises(SystemExit())
    runner.broken = True
    (answer,) = _ask(bridge, 1)
    assert isinstance(answer, ModelUnavailable) and runner.loads >= 7
    (answer,) = _ask(bridge, 2)  # later requests get the error too
    assert isinstance(answer, ModelUnavailable) and bridge.trouble
    runner.broken, runner.fault = False, lambda: None
    _check_until_it_works(bridge)  # it still tries
    (answer,) = _ask(bridge, 3)
    assert isinstance(answer, Hypothesis)
    bridge.stop(5)


def test_an_engine_that_is_stopped_is_not_restarted(started: tuple[EngineBridge, Runner]) -> None:
    bridge, runner = started
    runner.fault = _raises(RuntimeError("CUDA error"))
    bridge.submit(
        Request(stream="s", number=1, kind=Kind.FINAL, start=0, pcm=np.zeros(9, dtype=np.float32)), print
    )
    bridge.stop(5)
    gevent.sleep(0.7)
    assert runner.loads == 1


def test_an_engine_that_hangs_is_in_trouble(
    started: tuple[EngineBridge, Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge, runner = started
    monkeypatch.setattr("whisper_service.engine.bridge._STUCK_S", 0.1)
    runner.fault = lambda: time.sleep(0.5)
    asked = gevent.spawn(_ask, bridge, 1)
    gevent.sleep(0.2)
    bridge.check()
    assert "has not answered" in bridge.trouble
    asked.join(5)
    _check_until_it_works(bridge)
    bridge.stop(5)


def test_a_detector_that_fails_is_in_trouble_until_it_hears() -> None:
    class Detector:
        broken = True

        def probabilities(self, batch: Sequence[object]) -> list[list[float]]:
            if self.broken:
                raise RuntimeError("no")
            return [[0.5] for _ in batch]

    detector = Detector()
    bridge = SpeechBridge(lambda: detector)
    bridge.start()
    pcm = np.zeros(512, dtype=np.float32)
    with pytest.raises(InternalError):
        bridge.probabilities(None, pcm)
    assert bridge.trouble == "the speech detector fails"
    detector.broken = False
    assert bridge.probabilities(None, pcm) == [0.5] and not bridge.trouble
    bridge.stop(5)

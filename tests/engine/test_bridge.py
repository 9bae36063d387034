"""An engine whose thread ends, fails or hangs, and a detector that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import gevent
import numpy as np
import pytest

from tests.fakes import INFO, FakeEngine
from whisper_service.engine.bridge import EngineBridge, SpeechBridge
from whisper_service.engine.request import EngineInfo, Hypothesis, Kind, Request
from whisper_service.errors import InternalError, ModelUnavailable, TranscriptionError

pytestmark = pytest.mark.usefixtures("loop_that_knows_the_time")


class Runner:
    """A runner that calls ``fault`` before it answers."""

    max_batch = 1

    def __init__(self) -> None:
        self.fault: Callable[[], None] = lambda: None

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
    bridge = EngineBridge(lambda: runner)
    bridge.start()
    assert bridge.wait(5)
    return bridge, runner


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_waits_for_a_thread_that_ends_is_told_at_once(
    started: tuple[EngineBridge, Runner], caplog: pytest.LogCaptureFixture
) -> None:
    """If the engine's thread ends, a request that waits gets an error at once."""
    bridge, runner = started
    runner.fault = _raises(SystemExit())  # not an Exception, so it ends the thread
    (answer,) = _ask(bridge, 1)
    assert isinstance(answer, ModelUnavailable)
    assert bridge.trouble == "the engine's thread has ended" and "has ended" in caplog.text
    (answer,) = _ask(bridge, 2)  # later requests get the error too
    assert isinstance(answer, ModelUnavailable)


def test_an_engine_that_fails_is_in_trouble_until_it_answers(started: tuple[EngineBridge, Runner]) -> None:
    bridge, runner = started
    runner.fault = _raises(RuntimeError("CUDA error"))
    (answer,) = _ask(bridge, 1)
    assert isinstance(answer, InternalError) and bridge.trouble == "a request failed (RuntimeError)"
    bridge.check()
    gevent.sleep(0.1)
    assert bridge.trouble
    runner.fault = lambda: None
    _check_until_it_works(bridge)
    bridge.stop(5)


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

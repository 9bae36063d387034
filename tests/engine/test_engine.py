"""One thread answers batches. A request that causes a fault is the only one that fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from tests.fakes import INFO, FakeEngine
from whisper_service.engine.engine import Engine
from whisper_service.engine.request import EngineInfo, Hypothesis, Kind, OutOfMemory, Request


def _request(stream: str) -> Request:
    return Request(stream=stream, number=1, kind=Kind.COMMIT, start=0, pcm=np.zeros(100, dtype=np.float32))


class Batches:
    """A runner that holds its first batch until ``go`` is set, so that the next requests pile up.

    :param bad: a batch with a request of this stream fails.
    :param fits: a batch with more requests runs out of memory.
    """

    max_batch = 4

    def __init__(self, *, bad: str = "", fits: int = 99) -> None:
        self.sizes: list[int] = []
        self.forgotten: list[str] = []
        self.go = threading.Event()
        self._bad = bad
        self._fits = fits

    def forget(self, stream: str) -> None:
        self.forgotten.append(stream)

    def info(self) -> EngineInfo:
        return INFO

    def run_batch(self, requests: Sequence[Request]) -> list[Hypothesis]:
        self.go.wait(10)
        self.sizes.append(len(requests))
        if len(requests) > self._fits:
            raise OutOfMemory("too many")
        if any(request.stream == self._bad for request in requests):
            raise ValueError(f"{self._bad} is bad")
        return [FakeEngine().run(request) for request in requests]


def _answers(runner: Batches, streams: str) -> dict[str, Hypothesis | Exception]:
    answers: dict[str, Hypothesis | Exception] = {}
    complete = threading.Event()

    def deliver(request: Request, answer: Hypothesis | Exception) -> None:
        answers[request.stream] = answer
        if len(answers) == len(streams):
            complete.set()

    engine = Engine(lambda: runner, on_loaded=lambda error: None, deliver=deliver)
    for stream in streams:
        engine.submit(_request(stream))
    engine.start()
    runner.go.set()
    assert complete.wait(10)
    assert engine.stop(10)
    return answers


def test_requests_that_wait_together_share_a_batch() -> None:
    runner = Batches()
    answers = _answers(runner, "abcdef")
    assert all(isinstance(answer, Hypothesis) for answer in answers.values())
    assert sum(runner.sizes) == 6 and max(runner.sizes) == 4


def test_a_cancelled_stream_is_forgotten_with_what_waits_for_it() -> None:
    runner = Batches()
    answered = threading.Event()
    answers: list[str] = []

    def deliver(request: Request, answer: Hypothesis | Exception) -> None:
        answers.append(request.stream)
        answered.set()

    engine = Engine(lambda: runner, on_loaded=lambda error: None, deliver=deliver)
    engine.submit(_request("a"))
    engine.cancel("a")
    engine.submit(_request("b"))
    engine.start()
    runner.go.set()
    assert answered.wait(10) and engine.stop(10)
    assert answers == ["b"] and runner.forgotten == ["a"]


def test_a_fault_fails_the_request_that_caused_it_alone() -> None:
    answers = _answers(Batches(bad="c"), "abcdef")
    assert {stream for stream, answer in answers.items() if isinstance(answer, Exception)} == {"c"}
    assert str(answers["c"]) == "c is bad"


def test_out_of_memory_halves_the_batch_from_then_on() -> None:
    runner = Batches(fits=2)
    answers = _answers(runner, "abcdefgh")
    assert all(isinstance(answer, Hypothesis) for answer in answers.values())
    assert runner.sizes.count(4) == 1 and max(runner.sizes[1:]) == 2


def test_a_request_that_does_not_fit_alone_is_told_so() -> None:
    answers = _answers(Batches(fits=0), "ab")
    assert all(isinstance(answer, OutOfMemory) for answer in answers.values())

"""The engine of one device: one real thread runs schedule → run → deliver."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whisper_service.engine.request import EngineInfo, Hypothesis, OutOfMemory, Request, Runs
from whisper_service.engine.scheduler import Scheduler
from whisper_service.native import Worker, let_others_run

#: Called in the engine's thread with the answer to one request, or what went wrong with it.
Deliver = Callable[[Request, Hypothesis | Exception], None]


@dataclass(frozen=True, slots=True)
class _Cancel:
    stream: str


class Engine:
    """Answers requests in a thread of its own.

    :param load: called once in the thread, before the first request; its errors go to ``on_loaded``.
    :param on_loaded: called in the thread with what the engine is once it can answer, or with the error if it
        never will.
    :param deliver: called in the thread with every answer.
    :param on_end: called in the thread when it ends, with what was raised, or None after ``stop``.
    """

    def __init__(
        self,
        load: Callable[[], Runs],
        *,
        on_loaded: Callable[[EngineInfo | Exception], None],
        deliver: Deliver,
        on_end: Callable[[BaseException | None], None] = lambda error: None,
    ) -> None:
        self._load = load
        self._on_loaded = on_loaded
        self._deliver = deliver
        self._worker: Worker[Request | _Cancel] = Worker(self._begin, on_end=on_end)
        self._scheduler = Scheduler(most=1)

    def start(self) -> None:
        """Start the thread, which loads the model."""
        self._worker.start()

    def submit(self, request: Request) -> None:
        """Have ``request`` answered. Never blocks."""
        self._worker.put(request)

    def cancel(self, stream: str) -> None:
        """Drop what waits for ``stream``; what runs is still delivered."""
        self._worker.put(_Cancel(stream))

    def stop(self, timeout_s: float) -> bool:
        """Let the thread end; what waits is dropped. Blocks; see ``Worker.stop``."""
        return self._worker.stop(timeout_s)

    def _begin(self) -> Callable[[Sequence[Request | _Cancel]], bool]:
        try:
            runner = self._load()
        except Exception as error:
            # The top of the thread: whoever owns the engine logs it and says so to clients.
            self._on_loaded(error)
            return lambda items: False
        self._scheduler.most = runner.most
        self._on_loaded(runner.info())

        def handle(items: Sequence[Request | _Cancel]) -> bool:
            for item in items:
                if isinstance(item, _Cancel):
                    self._scheduler.cancel(item.stream)
                    runner.forget(item.stream)
                else:
                    self._scheduler.add(item, time.monotonic())
            requests = self._scheduler.pop()
            for request, answer in zip(requests, self._answer(runner, requests), strict=True):
                self._deliver(request, answer)
            # The hub hands out the answers while this thread lets go of the interpreter.
            let_others_run()
            return bool(requests)

        return handle

    def _answer(self, runner: Runs, requests: Sequence[Request]) -> Sequence[Hypothesis | Exception]:
        """Answer requests together; where that fails in parts, so that a fault stays with what caused it."""
        if not requests:
            return ()
        try:
            return runner.run_batch(requests)
        except Exception as error:
            # The top of the thread: alone, whoever asked gets it.
            if len(requests) == 1:
                return (error,)
            if isinstance(error, OutOfMemory):
                self._scheduler.most = max(1, len(requests) // 2)
                parts = [requests[: len(requests) // 2], requests[len(requests) // 2 :]]
            else:
                parts = [[request] for request in requests]
        return [answer for part in parts for answer in self._answer(runner, part)]

"""The engine of one device: one native thread runs schedule → run → deliver."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whisper_service.engine.memory import Trimmer
from whisper_service.engine.request import BatchRunner, EngineInfo, Hypothesis, OutOfMemory, Request
from whisper_service.engine.scheduler import Scheduler
from whisper_service.native import Worker, let_others_run

#: Called in the engine's thread with a request, and with its answer or the error that it caused.
Deliver = Callable[[Request, Hypothesis | Exception], None]


@dataclass(frozen=True, slots=True)
class _Cancel:
    stream: str


class Engine:
    """Answers requests in a thread of its own.

    :param load: called once in the thread, before the first request. Its errors go to ``on_loaded``.
    :param on_loaded: called in the thread: with the engine's description once it can answer, or with the
        error if loading failed.
    :param deliver: called in the thread with every answer.
    :param on_end: called in the thread when it ends: with the error that ended it, or with None after
        ``stop``.
    :param on_batch: called in the thread with the requests of each batch and the seconds that it took.
    """

    def __init__(
        self,
        load: Callable[[], BatchRunner],
        *,
        on_loaded: Callable[[EngineInfo | Exception], None],
        deliver: Deliver,
        on_end: Callable[[BaseException | None], None] = lambda error: None,
        on_batch: Callable[[Sequence[Request], float], None] = lambda requests, seconds: None,
    ) -> None:
        self._on_batch = on_batch
        self._load = load
        self._on_loaded = on_loaded
        self._deliver = deliver
        self._worker: Worker[Request | _Cancel] = Worker(self._begin, on_end=on_end)
        self._scheduler = Scheduler(max_batch=1)

    def start(self) -> None:
        """Start the thread, which loads the model."""
        self._worker.start()

    def submit(self, request: Request) -> None:
        """Queue ``request``. Never blocks."""
        self._worker.put(request)

    def cancel(self, stream: str) -> None:
        """Drop the waiting requests of ``stream`` and what the runner keeps for it.

        The answer to a running request is still delivered.
        """
        self._worker.put(_Cancel(stream))

    def stop(self, timeout_s: float) -> bool:
        """End the thread, drop the waiting requests; return whether it ended. Blocks; see ``Worker.stop``."""
        return self._worker.stop(timeout_s)

    def _begin(self) -> Callable[[Sequence[Request | _Cancel]], bool]:
        try:
            runner = self._load()
        except Exception as error:
            # An error raised here would end the thread. The engine's owner logs it and tells clients instead.
            self._on_loaded(error)
            return lambda items: False
        self._scheduler.max_batch = runner.max_batch
        self._on_loaded(runner.info())
        trim = Trimmer()

        def handle(items: Sequence[Request | _Cancel]) -> bool:
            """Take the new items and answer one batch; return whether to call again without new items."""
            for item in items:
                if isinstance(item, _Cancel):
                    self._scheduler.cancel(item.stream)
                    runner.forget(item.stream)
                else:
                    self._scheduler.add(item, time.monotonic())
            requests = self._scheduler.pop()
            began = time.monotonic()
            for request, answer in zip(requests, self._answer(runner, requests), strict=True):
                self._deliver(request, answer)
            if requests:
                self._on_batch(requests, time.monotonic() - began)
            trim(time.monotonic())
            # Release the interpreter's lock, so that the hub can hand out the answers.
            let_others_run()
            return bool(requests)

        return handle

    def _answer(self, runner: BatchRunner, requests: Sequence[Request]) -> Sequence[Hypothesis | Exception]:
        """Return an answer or an error for each request, computed in one batch.

        If the batch fails, its parts are tried, so that only the request at fault gets the error.
        """
        if not requests:
            return ()
        try:
            return runner.run_batch(requests)
        except Exception as error:
            # An error raised here would end the thread. A request that fails alone gets it as its answer.
            if len(requests) == 1:
                return (error,)
            if isinstance(error, OutOfMemory):
                self._scheduler.max_batch = max(1, len(requests) // 2)
                parts = [requests[: len(requests) // 2], requests[len(requests) // 2 :]]
            else:
                parts = [[request] for request in requests]
        return [answer for part in parts for answer in self._answer(runner, part)]

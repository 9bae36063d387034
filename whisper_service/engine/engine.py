"""The engine of one device: one real thread runs schedule → run → deliver."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from whisper_service.engine.request import Hypothesis, Request
from whisper_service.engine.scheduler import Scheduler
from whisper_service.native import Worker

#: Called in the engine's thread with the answer to one request, or what went wrong with it.
Deliver = Callable[[Request, Hypothesis | Exception], None]


class Runs(Protocol):
    """What answers requests; ``runner.Runner`` is it, tests have others."""

    def run(self, request: Request) -> Hypothesis:
        """Answer one request. Blocks."""


@dataclass(frozen=True, slots=True)
class _Cancel:
    stream: str


class Engine:
    """Answers requests in a thread of its own.

    :param load: called once in the thread, before the first request; its errors go to ``on_loaded``.
    :param on_loaded: called in the thread when the engine can answer (None), or never will (the error).
    :param deliver: called in the thread with every answer.
    """

    def __init__(
        self, load: Callable[[], Runs], *, on_loaded: Callable[[Exception | None], None], deliver: Deliver
    ) -> None:
        self._load = load
        self._on_loaded = on_loaded
        self._deliver = deliver
        self._worker: Worker[Request | _Cancel] = Worker(self._begin)
        self._scheduler = Scheduler()

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
        self._on_loaded(None)

        def handle(items: Sequence[Request | _Cancel]) -> bool:
            for item in items:
                if isinstance(item, _Cancel):
                    self._scheduler.cancel(item.stream)
                else:
                    self._scheduler.add(item)
            request = self._scheduler.pop()
            if request is None:
                return False
            try:
                answer: Hypothesis | Exception = runner.run(request)
            except Exception as error:
                # The top of the thread: a fault belongs to the request that caused it, not to the others.
                answer = error
            self._deliver(request, answer)
            # The hub hands out the answer while this thread lets go of the interpreter.
            time.sleep(0)
            return True

        return handle

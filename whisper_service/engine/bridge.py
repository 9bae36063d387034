"""The bridge from greenlets to the engine's native thread. It restarts an engine that fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gevent
import numpy as np
from gevent.event import Event

from whisper_service.engine.engine import Engine
from whisper_service.engine.pace import Pace
from whisper_service.engine.request import BatchRunner, EngineInfo, Hypothesis, Kind, Request
from whisper_service.errors import InternalError, ModelUnavailable, TranscriptionError
from whisper_service.native import HubCalls

log = logging.getLogger(__name__)

#: Called on the hub with an answer or an error. Must neither block nor raise.
OnAnswer = Callable[[Hypothesis | TranscriptionError], None]

#: An engine that has requests and gives no answer for this long counts as stuck, in seconds.
_STUCK_S = 60.0
#: The stream name of the requests that only test whether the engine answers.
_CHECK = "check"
#: A request is asked again until it has failed so often: at once, then after a restart of the engine.
_MOST_FAILURES = 3
#: Those who wait are told that there is no model after so many restarts in vain. Then the restarts go on.
#: Between them are pauses, in seconds.
_MOST_RESTARTS = 6
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_FAILED = "The transcription of this stream failed; the server's log says why."


class StreamEngine(Protocol):
    """Answers requests for sessions: an engine in this process, in another process, or on another machine."""

    def info(self) -> EngineInfo:
        """Return the description of the engine. Call it only after the engine has loaded."""

    def submit(self, request: Request, on_answer: OnAnswer) -> None:
        """Queue ``request``; ``on_answer`` gets the answer. Never blocks.

        A display request that is replaced gets no answer, and neither does a request of a cancelled stream.
        """

    def cancel(self, stream: str) -> None:
        """Forget the stream and its requests."""


@dataclass(slots=True)
class _Asked:
    """A request that waits for its answer.

    :param at: the monotonic time at which it was asked, in seconds.
    :param failures: how often it has failed, or the engine's thread has ended while it waited.
    """

    request: Request
    on_answer: OnAnswer
    at: float
    failures: int = 0


class EngineBridge:
    """An engine in a native thread of this process. Call all methods in the hub's thread.

    Requests are pure, so what fails is asked again: a request that has failed at once, then after a restart
    of the engine. If the engine's thread ends, it is restarted as well. Streams see no more than a delay.

    :param load: creates the runner. Called in the engine's thread, also at a restart.
    :param on_batch: called after each batch, with the time that each of its requests has waited, and the time
        that it took, in seconds.
    """

    def __init__(
        self,
        load: Callable[[], BatchRunner],
        on_batch: Callable[[Sequence[float], float], None] = lambda waits_s, seconds: None,
    ) -> None:
        self._load = load
        self._tell_batch = on_batch
        self._calls = HubCalls()
        self._waiting: dict[str, dict[int, _Asked]] = {}
        self._loaded = Event()
        self._info: EngineInfo | None = None
        self._pace: Pace | None = None
        self._problem: TranscriptionError | None = None
        self._engines = 0  # how many there have been; calls of earlier ones are ignored
        self._engine = self._new_engine()
        self._restarting = False
        self._restarts = 0  # since the last answer
        self._stopped = False
        self._checks = 0
        self._waits_s: list[float] = []  # from question to answer, of the requests of the present batch
        self._last_progress = 0.0
        #: The engine's problem, for an operator; "" if there is none. It is set when a request fails, the
        #: engine is stuck or its thread fails. The next successful answer clears it.
        self.trouble = ""

    def start(self) -> None:
        """Start the thread, which loads the model."""
        self._engine.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the engine has loaded; return whether it has within ``timeout`` seconds.

        :raises ModelUnavailable: if the model could not be loaded.
        """
        self._loaded.wait(timeout)
        if self._problem is not None:
            raise self._problem
        return self._loaded.is_set()

    def info(self) -> EngineInfo:
        """Return the description of the engine. Call it only after ``wait`` has returned True."""
        assert self._info is not None
        return self._info

    def pace(self) -> Pace:
        """Return how fast the engine answers. Call it only after ``wait`` has returned True."""
        assert self._pace is not None
        return self._pace

    def submit(self, request: Request, on_answer: OnAnswer) -> None:
        """See ``StreamEngine``."""
        if self._problem is not None:
            self._calls.post(on_answer, self._problem)
            return
        now = time.monotonic()
        if not self._waiting:
            self._last_progress = now
        self._waiting.setdefault(request.stream, {})[request.number] = _Asked(request, on_answer, now)
        if not self._restarting:
            self._engine.submit(request)

    def check(self) -> None:
        """Set ``trouble`` if the engine is stuck. During trouble, send a test request. Never blocks."""
        if self._restarting:
            return
        if self._waiting and time.monotonic() - self._last_progress > _STUCK_S:
            self._notice(f"the engine has not answered for {_STUCK_S:g} s")
        if self.trouble and _CHECK not in self._waiting:
            self._checks += 1
            noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.01
            request = Request(stream=_CHECK, number=self._checks, kind=Kind.FINAL, start=0, pcm=noise)
            self.submit(request, lambda answer: None)

    def cancel(self, stream: str) -> None:
        """See ``StreamEngine``."""
        self._waiting.pop(stream, None)
        self._engine.cancel(stream)

    def stop(self, timeout_s: float) -> bool:
        """End the thread; return whether it ended within ``timeout_s``. Blocks the greenlet."""
        self._stopped = True
        return self._engine.stop(timeout_s)

    # -- from the engine's thread, on the hub ----------------------------------------------------------

    def _new_engine(self) -> Engine:
        self._engines += 1
        number = self._engines

        def on_hub(function: Callable[..., None]) -> Callable[..., None]:
            def call(*arguments: Any) -> None:
                if number == self._engines:
                    function(*arguments)

            return lambda *arguments: self._calls.post(call, *arguments)

        return Engine(
            self._load,
            on_loaded=on_hub(self._on_loaded),
            deliver=on_hub(self._on_answer),
            on_end=on_hub(self._on_end),
            on_batch=on_hub(self._on_batch),
        )

    def _on_loaded(self, loaded: EngineInfo | Exception) -> None:
        if isinstance(loaded, EngineInfo):
            self._info, self._pace = loaded, Pace(loaded.timings)
            if self._restarting:
                self._restarting, self._problem = False, None
                log.warning("the engine has restarted")
                self._ask_all_again()
        elif self._restarting:
            self._restart_failed(loaded)
        elif isinstance(loaded, TranscriptionError):
            self._problem = loaded
        else:
            log.error("the model could not be loaded", exc_info=loaded)
            self._problem = ModelUnavailable("The model could not be loaded; the server's log says why.")
        self._loaded.set()

    def _on_answer(self, request: Request, answer: Hypothesis | Exception) -> None:
        stream = self._waiting.get(request.stream)
        asked = stream.get(request.number) if stream is not None else None
        if stream is None or asked is None:
            return
        self._waits_s.append(time.monotonic() - asked.at)
        self._last_progress = time.monotonic()
        if isinstance(answer, Exception):
            log.error("%s: request %d failed", request.stream, request.number, exc_info=answer)
            self._notice(f"a request failed ({type(answer).__name__})")
            asked.failures += 1
            if asked.failures == 1:
                self._engine.submit(request)
                return
            if asked.failures < _MOST_FAILURES:
                self._begin_restart()
                return
            answer = InternalError(_FAILED)
        else:
            self.trouble, self._restarts = "", 0
        # Older requests of this stream are display requests that were replaced: they get no answer.
        for number in [number for number in stream if number <= request.number]:
            del stream[number]
        if not stream:
            del self._waiting[request.stream]
        asked.on_answer(answer)

    def _on_batch(self, requests: Sequence[Request], seconds: float) -> None:
        jobs = sum(request.kind is not Kind.DISPLAY for request in requests)
        self.pace().note(len(requests), jobs, seconds, time.monotonic())
        waits_s, self._waits_s = self._waits_s, []
        self._tell_batch([wait_s - seconds for wait_s in waits_s], seconds)

    def _on_end(self, error: BaseException | None) -> None:
        """Restart the engine, if its thread ended because of an error."""
        if error is None:
            return
        if self._restarting:
            self._restart_failed(error)
            return
        log.critical("the engine's thread has ended", exc_info=error)
        self._notice("the engine's thread has ended")
        for name, stream in list(self._waiting.items()):
            for number, asked in list(stream.items()):
                asked.failures += 1
                if asked.failures >= _MOST_FAILURES:  # perhaps it is this request that ends the thread
                    del stream[number]
                    asked.on_answer(InternalError(_FAILED))
            if not stream:
                self._waiting.pop(name, None)
        self._begin_restart()

    # -- restart ---------------------------------------------------------------------------------------

    def _begin_restart(self) -> None:
        if not (self._restarting or self._stopped):
            self._restarting = True
            gevent.spawn(self._restart)

    def _restart(self) -> None:
        """Replace the engine, after a pause that doubles with every restart that brought no answer."""
        gevent.sleep(min(_LONGEST_PAUSE_S, _SHORTEST_PAUSE_S * 2**self._restarts))
        self._restarts += 1
        if self._stopped:
            return
        log.warning("the engine is restarted")
        old, self._engine = self._engine, self._new_engine()
        old.stop(_STUCK_S)
        self._engine.start()

    def _restart_failed(self, error: BaseException) -> None:
        """Try again. After some restarts, tell those who wait, and those who come, that there is no model."""
        log.error("the engine could not be restarted", exc_info=error)
        if self._restarts >= _MOST_RESTARTS:
            self._problem = ModelUnavailable("The model has failed; the server's log says why.")
            waiting, self._waiting = self._waiting, {}
            for stream in waiting.values():
                for asked in stream.values():
                    asked.on_answer(self._problem)
        gevent.spawn(self._restart)

    def _ask_all_again(self) -> None:
        for stream in self._waiting.values():
            for number, asked in list(stream.items()):
                if asked.request.kind is Kind.DISPLAY:
                    del stream[number]  # its partial would be out of date
                else:
                    self._engine.submit(asked.request)
        self._waiting = {name: stream for name, stream in self._waiting.items() if stream}

    def _notice(self, trouble: str) -> None:
        if not self.trouble:
            log.error("not ready: %s", trouble)
        self.trouble = trouble

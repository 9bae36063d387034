"""The running parts of one app: its engine and its speech detector."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import gevent
from gevent.event import Event

from whisper_service.config import Config
from whisper_service.engine.bridge import EngineBridge
from whisper_service.engine.listening import SpeechBridge
from whisper_service.errors import Draining, InternalError, ModelUnavailable, TranscriptionError
from whisper_service.native import patiently
from whisper_service.parts import Parts

log = logging.getLogger(__name__)

#: Seconds that a new stream waits for a model that is still loading, before it is told so.
_LOADING_TIMEOUT_S = 60.0
#: Seconds that each native thread may take to finish its current work when the process ends.
_STOPPING_S = 10.0
#: Seconds that the receivers of the last signals may take when the process ends.
_LAST_SIGNALS_S = 2.0
#: The texts for clients. The log names files and reasons.
_NO_MODEL = "The server has no model; its log says why."
_FAILING = "The model fails; the server's log says why."


class Drainable(Protocol):
    """The open streams, which the service has to end."""

    def drain(self, timeout_s: float) -> None:
        """Make every open stream final and close it. Blocks."""


class Service:
    """The running part of the extension, one for each app and process.

    Nothing starts before ``start``. It must be called in the process that serves, after any fork: the threads
    of a model and CUDA do not survive a fork.

    :param streams: the open streams of the app.
    :param on_batch: see ``EngineBridge``.
    :param after_drain: called with a timeout in seconds when all streams have ended; may block.
    """

    def __init__(
        self,
        config: Config,
        streams: Drainable,
        *,
        on_batch: Callable[[Sequence[float], float], None] = lambda waits_s, seconds: None,
        after_drain: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.config = config
        self._on_batch = on_batch
        self._streams = streams
        self._after_drain = after_drain
        self._draining = False
        self._probing: gevent.Greenlet[[SpeechBridge], None] | None = None
        self._pid: int | None = None
        self._settled = Event()
        self._problem: TranscriptionError | None = None
        self._parts: Parts | None = None
        self._threads: tuple[EngineBridge, SpeechBridge] | tuple[()] = ()

    def start(self) -> None:
        """Start to load the model, if this process has not started yet. Never blocks."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._settled, self._problem, self._parts = Event(), None, None
            gevent.spawn(self._load)

    def state(self) -> tuple[bool, str]:
        """Return whether the service is ready, and a short status for an operator. Start it if necessary."""
        self.start()
        if self._draining:
            return False, "draining"
        if self._problem is not None:
            return False, _NO_MODEL
        if self._parts is None:
            return False, "loading"
        return (False, _FAILING) if self._trouble() else (True, "ready")

    def _trouble(self) -> str:
        """Return the trouble of the engine or the detector, "" for none.

        During trouble, start a check whether it has passed: a later call sees the result.
        """
        if not self._threads:
            return ""
        engine, speech = self._threads
        engine.check()
        if speech.trouble and not self._probing:
            self._probing = gevent.spawn(self._probe, speech)
        return engine.trouble or speech.trouble

    def _probe(self, speech: SpeechBridge) -> None:
        from whisper_service import loading

        with suppress(InternalError):  # the error was logged, and ``trouble`` stays set
            loading.probe(speech)
        self._probing = None

    def about(self) -> dict[str, Any]:
        """Return the name of the model and the warnings for its users; empty until the model is loaded."""
        if self._parts is None:
            return {}
        info = self._parts.engine.info()
        return {"model": info.model, "warnings": list(info.warnings)}

    def parts(self) -> Parts:
        """Return the parts that streams share. Blocks the greenlet while the model is loading.

        :raises ModelUnavailable: if there is no model, or it is not loaded in time.
        :raises Draining: if the server is about to stop.
        """
        self.start()
        patiently(self._settled.wait, _LOADING_TIMEOUT_S)
        if self._draining:
            raise Draining()
        if self._problem is not None:
            raise ModelUnavailable(_NO_MODEL)
        if self._parts is None:
            raise ModelUnavailable("The model is still loading; try again in a moment.")
        return self._parts

    def wait(self, timeout_s: float) -> bool:
        """Return whether loading has ended within ``timeout_s``, also by an error or a drain. Blocks."""
        self.start()
        return bool(self._settled.wait(timeout_s))

    def drain(self) -> None:
        """Refuse new streams. Make every open stream final and close it with 1012. Blocks."""
        self._draining = True
        self._settled.set()  # streams that wait for the model stop waiting
        self._streams.drain(self.config.limits.drain_timeout_s)
        self._after_drain(_LAST_SIGNALS_S)

    def stop(self) -> None:
        """End the native threads before the process ends. Blocks for at most 10 s for each thread."""
        for thread in self._threads:
            if not thread.stop(_STOPPING_S):
                log.warning("a native thread is still busy after %g s", _STOPPING_S)

    def _load(self) -> None:
        try:
            self._parts = self._assemble()
            # A full collection would look at all modules and weights again, and stop every stream for 0.1 to
            # 0.2 s. They stay for the life of the process, so the collector need not know them.
            gc.freeze()
            log.info("ready: %s", self._parts.engine.info().model)
        except TranscriptionError as problem:
            log.error("%s", problem)
            self._problem = problem
        except Exception:
            log.exception("the service could not start")
            self._problem = ModelUnavailable(_NO_MODEL)
        self._settled.set()

    def _assemble(self) -> Parts:
        from whisper_service import loading  # here, because it imports torch

        self._threads = loading.start_threads(self.config, self._on_batch)
        return loading.parts(self.config, *self._threads)

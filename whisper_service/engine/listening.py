"""The bridge from greenlets to the speech detector's native thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gevent.event import AsyncResult

from whisper_service.audio.pcm import Samples
from whisper_service.errors import InternalError
from whisper_service.native import HubCalls, Worker, patiently

log = logging.getLogger(__name__)

#: How long a caller waits for speech probabilities before the detector counts as failed, in seconds.
_SPEECH_TIMEOUT_S = 30.0


class _Listens(Protocol):
    def probabilities(self, batch: Sequence[tuple[Any, Samples]]) -> list[list[float]]: ...


@dataclass(frozen=True, slots=True)
class _Listen:
    state: Any
    pcm: Samples
    result: AsyncResult[list[float] | Exception]


class SpeechBridge:
    """The speech detector in a native thread of its own. Streams that wait at the same time share a batch.

    :param load: creates the detector. Called in its thread.
    """

    def __init__(self, load: Callable[[], _Listens]) -> None:
        self._calls = HubCalls()
        self._load = load
        self._worker: Worker[_Listen] = Worker(self._begin)
        #: The detector's problem, for an operator; "" if there is none. The next successful call clears it.
        self.trouble = ""

    def start(self) -> None:
        """Start the thread, which loads the network."""
        self._worker.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; return whether it ended within ``timeout_s``. Blocks the greenlet."""
        return self._worker.stop(timeout_s)

    def probabilities(self, state: Any, pcm: Samples) -> list[float]:
        """Return the speech probabilities of the frames that ``pcm`` completes. Blocks the greenlet.

        :param state: the stream's ``SpeechState``. Only one call may use it at a time.
        :param pcm: the stream's next samples, mono float32 at 16 kHz, ``(n_samples,)``.
        :raises InternalError: if the detector failed, or gave no answer in time.
        """
        result: AsyncResult[list[float] | Exception] = AsyncResult()
        self._worker.put(_Listen(state, pcm, result))

        def wait(timeout_s: float) -> bool:
            result.wait(timeout_s)
            return result.ready()

        answer = result.get() if patiently(wait, _SPEECH_TIMEOUT_S) else None
        if isinstance(answer, list):
            self.trouble = ""
            return answer
        if not self.trouble:
            log.error("not ready: the speech detector fails")
        self.trouble = "the speech detector fails"
        if answer is None:
            log.error("the speech detector gave no answer within %g s", _SPEECH_TIMEOUT_S)
        else:
            log.error("the speech detector failed", exc_info=answer)
        raise InternalError("The speech detector failed; the server's log says why.")

    def _begin(self) -> Callable[[Sequence[_Listen]], bool]:
        detector: _Listens | None = None
        problem: Exception | None = None
        try:
            detector = self._load()
        except Exception as error:
            # An error raised here would end the thread. Each caller gets it instead.
            problem = error

        def handle(items: Sequence[_Listen]) -> bool:
            answers: Sequence[list[float] | Exception]
            try:
                if detector is None:
                    raise problem or RuntimeError("no detector")
                answers = detector.probabilities([(item.state, item.pcm) for item in items])
            except Exception as error:
                # As above: the callers of this batch get the error.
                answers = [error] * len(items)
            for item, answer in zip(items, answers, strict=True):
                self._calls.post(item.result.set, answer)
            return False

        return handle

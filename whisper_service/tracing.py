"""Spans for OpenTelemetry, if its API is installed: one for each connection of a stream, one for each batch.

They go where the SDK of the app sends them; without an SDK they go nowhere. They hold no text.

Source: opentelemetry.io, "Instrumentation: Python".
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

try:
    from opentelemetry import context, trace
except ImportError:
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.errors import TranscriptionError
from whisper_service.events import Account, Event, Final, Partial
from whisper_service.parts import Listener

_NAME = "whisper_service"


def trace_batch(waits_s: Sequence[float], seconds: float) -> None:
    """Write the span of a batch of the engine that has just ended.

    :param waits_s: how long each of its requests has waited, in seconds.
    :param seconds: how long it took.
    """
    if not IS_INSTALLED:
        return
    end = time.time_ns()
    attributes = {"whisper.batch_size": len(waits_s), "whisper.longest_wait_s": max(waits_s, default=0.0)}
    tracer = trace.get_tracer(_NAME)
    span = tracer.start_span("whisper.batch", start_time=end - round(seconds * 1e9), attributes=attributes)
    span.end(end)


def current() -> Any:
    """Return the context of the current span, for ``stream_span``; None without OpenTelemetry."""
    return context.get_current() if IS_INSTALLED else None


@contextmanager
def stream_span(parent: Any) -> Iterator[Listener]:
    """Give the listener that writes the span of a stream, from its first audio to the end of the block.

    :param parent: the context in which the span lies, see ``current``.
    """
    if not IS_INSTALLED:
        yield Listener()
        return
    span = StreamSpan(parent)
    try:
        yield span
    except TranscriptionError as problem:
        span.failed(problem)
        raise
    finally:
        span.end()


class StreamSpan(Listener):
    """Writes one span. It begins with the first audio of a connection.

    :param parent: the context in which it lies.
    """

    def __init__(self, parent: Any) -> None:
        self._parent = parent
        self._span: Any = None
        self._is_first = True

    def opened(self, stream: str, *, resumed: bool) -> None:
        """Begin the span."""
        attributes: dict[str, str | bool] = {"whisper.stream": stream, "whisper.resumed": resumed}
        tracer = trace.get_tracer(_NAME)
        self._span = tracer.start_span("whisper.stream", self._parent, attributes=attributes)

    def told(self, stream: str, event: Event, delay_s: float | None) -> None:
        """Add an event for the first words, and for each final: when, and how late, but not what."""
        if self._span is None or not isinstance(event, Partial | Final):
            return
        times = {"whisper.start_s": event.start / SAMPLE_RATE, "whisper.end_s": event.end / SAMPLE_RATE}
        if delay_s is not None:
            times["whisper.delay_s"] = delay_s
        if isinstance(event, Final):
            self._span.add_event("final", {"whisper.final": event.number, **times})
        elif self._is_first and event.words:
            self._span.add_event("first words", times)
            self._is_first = False

    def failed(self, problem: TranscriptionError) -> None:
        """Add an event for the problem. The code of one that ends the stream is the span's status."""
        if self._span is None:
            return
        self._span.add_event("error", {"whisper.error": problem.code})
        if problem.fatal:
            self._span.set_status(trace.StatusCode.ERROR, problem.code)

    def closed(self, stream: str, *, seconds: float, account: Account | None) -> None:
        """Note how much audio the stream has had, and how much of it was lost."""
        if self._span is None:
            return
        self._span.set_attribute("whisper.audio_s", seconds)
        if account is not None:
            self._span.set_attribute("whisper.lost_s", account.lost / SAMPLE_RATE)

    def end(self) -> None:
        """End the span, if it has begun."""
        if self._span is not None:
            self._span.end()

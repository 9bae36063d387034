"""The figures of the service, for Prometheus: what the streams get, and what the engine does.

Under gunicorn with several workers, set ``PROMETHEUS_MULTIPROC_DIR`` before Python starts. Then each worker
writes its figures into a file there, and any of them can answer for all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from whisper_service.errors import TranscriptionError
from whisper_service.events import Account, Event, Final, Partial
from whisper_service.parts import Listener

__all__ = ["CONTENT_TYPE_LATEST", "Metrics", "StreamMeter"]

_SHORT_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DELAYS_S = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The figures of one app in this process. All methods are called on the hub."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.streams = Gauge(
            "whisper_streams", "Open streams.", multiprocess_mode="livesum", registry=registry
        )
        self.opened = Counter("whisper_streams_opened", "Streams that brought audio.", registry=registry)
        self.audio_s = Counter("whisper_audio_seconds", "Audio of all streams.", registry=registry)
        self.finals = Counter("whisper_finals", "Final pieces of text.", registry=registry)
        self.display_s = Histogram(
            "whisper_display_delay_seconds",
            "From the arrival of the last sample of new words to the partial that shows them.",
            buckets=_DELAYS_S,
            registry=registry,
        )
        self.final_s = Histogram(
            "whisper_final_delay_seconds",
            "From the arrival of the last sample of a final to the final.",
            buckets=_DELAYS_S,
            registry=registry,
        )
        self.refusals = Counter(
            "whisper_refusals", "Clients that were not let in.", ["reason"], registry=registry
        )
        self.errors = Counter("whisper_errors", "Errors that clients were told.", ["code"], registry=registry)
        self.batch_s = Histogram(
            "whisper_batch_seconds", "Time of a batch in the model.", buckets=_SHORT_S, registry=registry
        )
        self.batch_size = Histogram(
            "whisper_batch_size", "Requests in a batch.", buckets=_SIZES, registry=registry
        )
        self.queue_s = Histogram(
            "whisper_queue_seconds",
            "Time that a request has waited for its batch.",
            buckets=_SHORT_S,
            registry=registry,
        )

    def batch(self, waits_s: Sequence[float], seconds: float) -> None:
        """Count a batch of the engine.

        :param waits_s: how long each of its requests has waited, in seconds.
        :param seconds: how long it took.
        """
        self.batch_s.observe(seconds)
        self.batch_size.observe(len(waits_s))
        for wait_s in waits_s:
            self.queue_s.observe(max(0.0, wait_s))

    def refused(self, problem: TranscriptionError) -> None:
        """Count a client that was not let in."""
        self.refusals.labels(problem.code).inc()

    def failed(self, problem: TranscriptionError) -> None:
        """Count an error that a client is told."""
        self.errors.labels(problem.code).inc()

    def of_stream(self) -> StreamMeter:
        """Return the listener of a new stream."""
        return StreamMeter(self)

    def text(self) -> bytes:
        """Return all figures, of all workers, in the text format of Prometheus."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everywhere = CollectorRegistry()
        MultiProcessCollector(everywhere)  # type: ignore[no-untyped-call]
        return generate_latest(everywhere)


class StreamMeter(Listener):
    """Counts what happens on one stream."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._shown = 0  # the last sample whose words were shown

    def opened(self, stream: str, *, resumed: bool) -> None:
        """Count the stream as open."""
        self._metrics.streams.inc()
        self._metrics.opened.inc()

    def heard(self, stream: str, seconds: float) -> None:
        """Count audio."""
        self._metrics.audio_s.inc(seconds)

    def told(self, stream: str, event: Event, delay_s: float | None) -> None:
        """Measure how late new text is."""
        if isinstance(event, Final):
            self._metrics.finals.inc()
            if delay_s is not None:
                self._metrics.final_s.observe(delay_s)
        elif isinstance(event, Partial) and event.words and event.end > self._shown:
            if delay_s is not None:
                self._metrics.display_s.observe(delay_s)
            self._shown = event.end

    def failed(self, problem: TranscriptionError) -> None:
        """Count an error."""
        self._metrics.failed(problem)

    def closed(self, stream: str, *, seconds: float, account: Account | None) -> None:
        """Count the stream as closed."""
        self._metrics.streams.dec()

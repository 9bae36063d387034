"""The spans of streams and batches, as OpenTelemetry's own SDK gets them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.fakes import cut_evenly, speak
from tests.servers import ROOT
from tests.streams import STOP, TALK, LateEngine, parts_of, raw
from whisper_service.config import RawFormat, StreamSettings
from whisper_service.errors import SessionTooLong, TranscriptionError
from whisper_service.live import Stream
from whisper_service.parts import Arrival, Parts
from whisper_service.protocol.dialects import of_transcribe
from whisper_service.tracing import current, stream_span, trace_batch

_EXPORTER = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    """One for the process: OpenTelemetry takes no other later."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))
    trace.set_tracer_provider(provider)


@pytest.fixture(autouse=True)
def only_own_spans() -> Iterator[None]:
    _EXPORTER.clear()
    yield


def _run(parts: Parts, frames: list[str | bytes]) -> None:
    dialect = of_transcribe({}, StreamSettings(), undeclared=RawFormat("f32le", 16_000, 1))
    with stream_span(current()) as listener:
        stream = Stream(
            parts, dialect, send=lambda frames: None, fail=lambda problem: None, listener=listener
        )
        stream.run(Arrival(frame, 0.0) for frame in frames)


def _span(name: str) -> ReadableSpan:
    (span,) = [span for span in _EXPORTER.get_finished_spans() if span.name == name]
    return span


def test_a_stream_is_a_span_within_its_request() -> None:
    pcm, _ = speak(TALK)
    with trace.get_tracer("app").start_as_current_span("GET /transcribe"):
        _run(parts_of(LateEngine()), ["?", *raw(cut_evenly(pcm, 8_000)), STOP])
    span, request = _span("whisper.stream"), _span("GET /transcribe")
    assert span.parent is not None and request.context is not None
    assert span.parent.span_id == request.context.span_id
    assert span.attributes is not None and span.attributes["whisper.audio_s"] == pcm.shape[0] / 16_000
    assert span.attributes["whisper.lost_s"] == 0 and not span.attributes["whisper.resumed"]
    names = [event.name for event in span.events]
    assert names[:2] == ["error", "first words"] and names.count("first words") == 1
    finals = [event for event in span.events if event.name == "final"]
    assert [event.attributes and event.attributes["whisper.final"] for event in finals] == [
        *range(len(finals))
    ]
    assert len(finals) >= 3 and span.status.is_unset
    assert not any("w1" in str(event.attributes) for event in span.events)


def test_an_error_that_ends_the_stream_is_the_status() -> None:
    pcm, _ = speak(TALK)
    with pytest.raises(SessionTooLong):
        _run(replace(parts_of(LateEngine()), max_audio_samples=16_000), raw(cut_evenly(pcm, 8_000)))
    span = _span("whisper.stream")
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == "session_too_long"


def test_a_stream_without_audio_has_no_span() -> None:
    with pytest.raises(TranscriptionError), stream_span(current()):
        raise SessionTooLong("before any audio")
    assert not _EXPORTER.get_finished_spans()


def test_a_batch_is_a_span() -> None:
    trace_batch([0.1, 0.3], 0.5)
    span = _span("whisper.batch")
    assert span.attributes == {"whisper.batch_size": 2, "whisper.longest_wait_s": 0.3}
    assert span.start_time is not None and span.end_time is not None
    assert span.end_time - span.start_time == 500_000_000


def test_without_opentelemetry_nothing_is_written() -> None:
    script = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from whisper_service import tracing\n"
        "assert not tracing.IS_INSTALLED and tracing.current() is None\n"
        "tracing.trace_batch([0.1], 0.1)\n"
        "with tracing.stream_span(None) as listener:\n"
        "    listener.opened('s', resumed=False)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)

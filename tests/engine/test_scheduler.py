"""Which request goes next."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from whisper_service.engine.request import Kind, Request
from whisper_service.engine.scheduler import Scheduler


def _request(stream: str, kind: Kind, number: int = 0) -> Request:
    return Request(stream=stream, number=number, kind=kind, start=0, pcm=np.zeros(1, dtype=np.float32))


def _order(*requests: Request) -> list[tuple[str, Kind]]:
    scheduler = Scheduler()
    for request in requests:
        scheduler.add(request)
    taken = []
    while (request := scheduler.pop()) is not None:
        taken.append((request.stream, request.kind))
    return taken


def test_finals_go_before_commits_before_displays() -> None:
    order = _order(_request("a", Kind.DISPLAY), _request("b", Kind.COMMIT), _request("c", Kind.FINAL))
    assert order == [("c", Kind.FINAL), ("b", Kind.COMMIT), ("a", Kind.DISPLAY)]


def test_among_equals_who_came_first_goes_first() -> None:
    order = _order(*(_request(stream, Kind.COMMIT) for stream in "cab"))
    assert [stream for stream, _ in order] == ["c", "a", "b"]


def test_a_newer_request_replaces_the_display_request_of_its_stream() -> None:
    assert _order(_request("a", Kind.DISPLAY), _request("a", Kind.DISPLAY)) == [("a", Kind.DISPLAY)]
    assert _order(_request("a", Kind.DISPLAY), _request("a", Kind.COMMIT)) == [("a", Kind.COMMIT)]


def test_a_display_request_of_another_stream_stays() -> None:
    assert len(_order(_request("a", Kind.DISPLAY), _request("b", Kind.DISPLAY))) == 2


def test_cancel_drops_what_waits_for_a_stream() -> None:
    scheduler = Scheduler()
    for stream in "ab":
        scheduler.add(_request(stream, Kind.FINAL))
        scheduler.add(_request(stream, Kind.DISPLAY))
    scheduler.cancel("a")
    assert [getattr(scheduler.pop(), "stream", None) for _ in range(3)] == ["b", "b", None]


def test_it_needs_no_torch() -> None:
    code = "import sys, whisper_service.engine.scheduler; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

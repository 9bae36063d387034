"""The order of the requests, on a clock that the test controls."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np

from whisper_service.engine.request import Kind, Request
from whisper_service.engine.scheduler import Scheduler


def _request(stream: str, kind: Kind, number: int = 0) -> Request:
    return Request(stream=stream, number=number, kind=kind, start=0, pcm=np.zeros(1, dtype=np.float32))


def _order(*requests: Request, max_batch: int = 1) -> list[list[tuple[str, Kind]]]:
    scheduler = Scheduler(max_batch=max_batch)
    for request in requests:
        scheduler.add(request, 0.0)
    taken = []
    while batch := scheduler.pop():
        taken.append([(request.stream, request.kind) for request in batch])
    return taken


def test_finals_go_before_commits_before_displays_of_the_same_age() -> None:
    order = _order(_request("a", Kind.DISPLAY), _request("b", Kind.COMMIT), _request("c", Kind.FINAL))
    assert order == [[("c", Kind.FINAL)], [("b", Kind.COMMIT)], [("a", Kind.DISPLAY)]]


def test_what_waits_long_enough_goes_before_a_final_that_has_just_come() -> None:
    scheduler = Scheduler(max_batch=1)
    scheduler.add(_request("a", Kind.DISPLAY), 10.0)
    scheduler.add(_request("b", Kind.COMMIT), 10.1)
    scheduler.add(_request("c", Kind.FINAL), 11.0)
    assert [scheduler.pop()[0].stream for _ in range(3)] == ["b", "a", "c"]


def test_among_equals_who_came_first_goes_first() -> None:
    order = _order(*(_request(stream, Kind.COMMIT) for stream in "cab"))
    assert [batch[0][0] for batch in order] == ["c", "a", "b"]


def test_a_newer_request_replaces_the_display_request_of_its_stream() -> None:
    assert _order(_request("a", Kind.DISPLAY), _request("a", Kind.DISPLAY)) == [[("a", Kind.DISPLAY)]]
    assert _order(_request("a", Kind.DISPLAY), _request("a", Kind.COMMIT)) == [[("a", Kind.COMMIT)]]


def test_a_display_request_of_another_stream_stays() -> None:
    assert len(_order(_request("a", Kind.DISPLAY), _request("b", Kind.DISPLAY))) == 2


def test_a_batch_is_the_most_urgent_requests() -> None:
    order = _order(
        *(_request(stream, Kind.DISPLAY) for stream in "abc"),
        *(_request(stream, Kind.FINAL) for stream in "de"),
        max_batch=3,
    )
    assert [[stream for stream, _ in batch] for batch in order] == [["d", "e", "a"], ["b", "c"]]


def test_cancel_drops_what_waits_for_a_stream() -> None:
    scheduler = Scheduler(max_batch=4)
    for stream in "ab":
        scheduler.add(_request(stream, Kind.FINAL), 0.0)
        scheduler.add(_request(stream, Kind.DISPLAY), 0.0)
    scheduler.cancel("a")
    assert [request.stream for request in scheduler.pop()] == ["b", "b"]
    assert scheduler.pop() == []


def test_under_overload_nothing_is_lost_and_nobody_starves() -> None:
    """60 streams would ask for 12 commits per step, but 4 requests are answered.

    Every stream gets its commits, about equally late.
    """
    dice = random.Random(0)
    scheduler, now, waiting, late = Scheduler(max_batch=4), 0.0, {}, {}
    for step in range(600):
        now += 0.1
        for stream in range(60):
            if stream not in waiting and dice.random() < 0.2:
                waiting[stream] = now
                scheduler.add(_request(str(stream), Kind.COMMIT, step), now)
            elif stream not in waiting:
                scheduler.add(_request(str(stream), Kind.DISPLAY, step), now)
        for request in scheduler.pop():
            if request.kind is Kind.COMMIT:
                stream = int(request.stream)
                late.setdefault(stream, []).append(now - waiting.pop(stream))
    means = [sum(times) / len(times) for times in late.values()]
    assert len(means) == 60 and max(means) < 1.3 * min(means)


def test_it_needs_no_torch() -> None:
    code = "import sys, whisper_service.engine.scheduler; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

"""Who may come in: streams that the engine can serve in time beside the others."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from tests.streams import STOP, Client, LateEngine, parts_of
from whisper_service.capacity import Capacity
from whisper_service.errors import Full


@dataclass
class _Engine:
    """An engine that takes ``job_s`` for a job; ``speaking`` streams bring two a second."""

    job_s: float
    speaking: int = 0
    now: float = 0.0

    def load(self, now: float) -> float:
        return 2 * self.speaking * self.job_s

    def capacity(self, limit: int | None = None) -> Capacity:
        return Capacity(lambda: self, jobs_per_s=2, limit=limit, clock=lambda: self.now)


def _fill(capacity: Capacity, stack: ExitStack, most: int = 100) -> int:
    """Open streams until one is refused; return how many were taken."""
    for count in range(most):
        try:
            stack.enter_context(capacity.one_more())
        except Full:
            return count
    return most


@pytest.mark.parametrize(("job_s", "streams"), [(0.3, 1), (0.2, 2), (0.1, 4), (0.005, 85), (5.0, 1)])
def test_thirty_that_come_at_once_are_as_many_as_fit(job_s: float, streams: int) -> None:
    with ExitStack() as stack:
        assert _fill(_Engine(job_s).capacity(), stack) == streams


def test_who_is_refused_learns_when_to_come_back() -> None:
    capacity = _Engine(0.3).capacity()
    with capacity.one_more(), pytest.raises(Full) as refused, capacity.one_more():
        pass
    assert refused.value.retry_after_s == 10 and "Try again in 10 s" in str(refused.value)
    with capacity.one_more():
        pass  # the first one has gone


def test_streams_that_pause_make_room_but_not_for_all_of_their_speech() -> None:
    engine = _Engine(0.1)
    capacity = engine.capacity()
    with ExitStack() as stack:
        assert _fill(capacity, stack) == 4
        engine.now, engine.speaking = 20.0, 4
        assert _fill(capacity, stack) == 0
        engine.speaking = 1
        assert _fill(capacity, stack) == 1


def test_an_engine_that_has_become_slower_takes_fewer() -> None:
    engine = _Engine(0.1)
    capacity = engine.capacity()
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(capacity.one_more())
        engine.now, engine.speaking, engine.job_s = 20.0, 2, 0.2
        assert _fill(capacity, stack) == 0
        engine.job_s = 0.1
        assert _fill(capacity, stack) == 2


def test_a_limit_counts_and_nothing_else() -> None:
    with ExitStack() as stack:
        assert _fill(_Engine(5.0).capacity(limit=7), stack) == 7


@pytest.mark.usefixtures("loop_that_knows_the_time")
def test_a_refused_stream_costs_nothing_and_says_why() -> None:
    engine = LateEngine()
    capacity = _Engine(0.1).capacity(limit=1)
    parts = replace(parts_of(engine), capacity=capacity)
    client = Client(parts)
    with capacity.one_more(), pytest.raises(Full):
        client.run([STOP])
    assert not client.frames and not engine.cancelled
    assert Client(parts).run([STOP])[-1]["type"] == "done"


def test_the_hint_is_on_the_wire() -> None:
    from whisper_service.protocol import messages

    told = json.loads(messages.encode(messages.error(Full("No.", retry_after_s=10), fatal=True)))
    assert told["retry_after_s"] == 10
    assert "retry_after_s" not in messages.error(Full("No."), fatal=True)

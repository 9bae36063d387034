"""Bytes that all connections share."""

from __future__ import annotations

from whisper_service.web.budget import ByteBudget

SLICE = 100_000
LONG = 30_000_000


def test_ordinary_slices_cost_nothing() -> None:
    budget = ByteBudget(1)
    connections = [budget.open() for _ in range(100)]
    assert all(connection.hold("socket", SLICE) for connection in connections)
    assert all(connection.hold("inbox", SLICE) for connection in connections)


def test_long_messages_are_taken_as_long_as_there_is_room() -> None:
    budget = ByteBudget(2 * LONG)
    first, second, third = (budget.open() for _ in range(3))
    assert first.hold("socket", LONG) and second.hold("socket", LONG)
    assert not third.hold("socket", LONG)
    assert third.hold("socket", SLICE)
    first.hold("socket", 0)
    assert third.hold("socket", LONG)


def test_what_moves_on_within_a_connection_is_counted_once() -> None:
    connection = ByteBudget(LONG).open()
    assert connection.hold("socket", LONG)
    assert connection.hold("socket", 0) and connection.hold("inbox", LONG)
    assert not connection.hold("socket", LONG)


def test_a_connection_that_is_closed_gives_everything_back() -> None:
    budget = ByteBudget(LONG)
    for _ in range(10):
        connection = budget.open()
        assert connection.hold("socket", LONG)
        connection.close()
        connection.close()

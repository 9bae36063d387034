"""A handful of the runs of ``make faults``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.runs import Message, Pair, finals, one_run, pair, spoken, undisturbed
from tests.talks import MAX_ERROR_RATE, word_error_rate


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("servers")) as started:
        yield started


@pytest.fixture(scope="module")
def whole(servers: Pair) -> list[Message]:
    """The messages of an undisturbed run."""
    messages = undisturbed(servers)
    text = "".join(text for _, text, _, _ in finals(messages))
    assert word_error_rate(spoken().text, text) < MAX_ERROR_RATE
    return messages


@pytest.mark.parametrize(("fault", "seed"), [("kill", 0), ("cut", 0), ("deploy", 0), ("stop", 1)])
def test_no_word_is_lost_or_doubled_or_changed(
    servers: Pair, whole: list[Message], fault: str, seed: int
) -> None:
    run = one_run(servers, fault, seed, whole)
    assert not run.problem, run
    assert fault == "stop" or run.reconnected

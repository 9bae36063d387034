"""What many tests share: the demonstration model, loaded once, and a talk with its truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.leaks import nothing_left
from tests.privacy import watched_log
from tests.servers import ROOT
from whisper_service.audio.decode import decode

if TYPE_CHECKING:
    from whisper.model import Whisper

    from whisper_service.engine.runner import Runner

CHECKPOINT = ROOT / "models" / "micro.en.pt"

#: Tests that use these fixtures run a model, a server or a browser.
HEAVY_FIXTURES = frozenset({"model", "runner", "detector", "server", "browser"})
#: In these, other tests do too.
HEAVY_PLACES = frozenset(
    {
        "benchmarks",
        "browser",
        "faults",
        "model",
        "test_draining.py",
        "test_end_to_end.py",
        "test_live_client.py",
        "test_offline.py",
        "test_overload.py",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that are not fast."""
    for item in items:
        place = item.path.relative_to(ROOT / "tests").parts[0]
        if place in HEAVY_PLACES or HEAVY_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.heavy)


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Fail if a test leaves a thread, a greenlet or a socket, or logs what no log may hold."""
    with watched_log(), nothing_left():
        yield


@dataclass(frozen=True, slots=True)
class Talk:
    """A talk of a synthetic voice; ``words`` have the true start and end of each word in seconds."""

    path: Path
    pcm: NDArray[np.float32]  # 16 kHz mono, (n_samples,)
    text: str
    words: list[dict[str, object]]


@pytest.fixture(scope="session")
def talk() -> Talk:
    """The page's bundled sample, 27 s."""
    path = ROOT / "static" / "samples" / "talk-00.flac"
    truth = json.loads((ROOT / "tests" / "data" / "talk-00.json").read_text())
    return Talk(path, decode(path.read_bytes()).samples, truth["text"], truth["words"])


@pytest.fixture(scope="session")
def model() -> Whisper:
    """The demonstration model in float32 on the CPU."""
    from whisper_service.model.checkpoints.find import find_checkpoint
    from whisper_service.model.checkpoints.load import load_model

    return load_model(find_checkpoint(str(CHECKPOINT), deadline_s=0))


@pytest.fixture(scope="session")
def runner(model: Whisper) -> Runner:
    """The engine's inside on that model."""
    from whisper_service.engine.runner import Runner

    return Runner(model)


@pytest.fixture
def loop_that_knows_the_time() -> None:
    """For tests that run gevent in the test's process.

    The loop reads its clock when it runs. While other tests ran it did not, and timers would count from back
    then: those of a test would all be due at once.
    """
    import gevent

    gevent.get_hub().loop.update_now()

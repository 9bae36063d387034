"""A check that is repeated while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

_EVERY_S = 0.02


@contextmanager
def watched(look: Callable[[], None]) -> Iterator[None]:
    """Call ``look`` in a thread every 20 ms while the body runs. Its first exception is raised at the end."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY_S):
            look()

    with ThreadPoolExecutor(1) as thread:
        watching = thread.submit(watch)
        try:
            yield
        finally:
            over.set()
        watching.result()

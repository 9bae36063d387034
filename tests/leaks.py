"""Threads, greenlets and sockets that a test leaves in its process."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

#: Seconds that threads, greenlets and sockets have to end after a test.
_GRACE_S = 20.0
_POLL_S = 0.01

_greenlets: weakref.WeakSet[Any] = weakref.WeakSet()
_watched = False


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail if the body leaves a thread, a greenlet or a socket."""
    before = _open()
    yield
    deadline_s = time.monotonic() + _GRACE_S
    while left := _open() - before:
        assert time.monotonic() < deadline_s, f"left after the test: {sorted(left)}"
        _wait()


def _wait() -> None:
    """Let other threads run, and the greenlets of this one."""
    if _watched:
        import gevent

        gevent.sleep(_POLL_S)
    else:
        time.sleep(_POLL_S)


def _open() -> set[str]:
    """Return the names of all that is open: threads that run Python, greenlets of gevent, sockets."""
    return _threads() | _running_greenlets() | _sockets()


def _threads() -> set[str]:
    """Return the threads that run Python, without those that libraries keep."""
    known = {thread.ident: thread for thread in threading.enumerate()}
    kept = {ident for ident, thread in known.items() if _is_kept(thread)}
    return {f"thread {known.get(ident, ident)}" for ident in sys._current_frames() if ident not in kept}


def _is_kept(thread: threading.Thread) -> bool:
    """Return whether the thread is of Playwright's pool, or watches the progress bars of tqdm."""
    return thread.name.startswith("asyncio_") or type(thread).__name__ == "TMonitor"


def _running_greenlets() -> set[str]:
    _watch_greenlets()
    return {f"greenlet {id(greenlet):x} {greenlet}" for greenlet in list(_greenlets) if not greenlet.ready()}


def _watch_greenlets() -> None:
    """Note all greenlets that are spawned from the first test with gevent on."""
    global _watched
    if not _watched and "gevent" in sys.modules:
        from gevent import Greenlet

        Greenlet.add_spawn_callback(_greenlets.add)
        _watched = True


def _sockets() -> set[str]:
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the descriptor of the listing itself
            target = os.readlink(f"/proc/self/fd/{descriptor}")
            if target.startswith("socket:"):
                found.add(target)
    return found

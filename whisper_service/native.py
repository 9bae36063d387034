"""Real threads, and the way back to the hub. The only place that starts a thread.

Under gevent's monkey-patching ordinary threads, queues and locks are cooperative: a model that runs in one
of them stops the server. A thread here is a real one, work comes to it by the C queue that is never
patched, and its answers go back by the hub's thread-safe callback. Nothing in such a thread may touch a
greenlet, a patched lock or a logging handler shared with greenlets.
"""

from __future__ import annotations

import contextlib
import os
import time
from _queue import Empty, SimpleQueue
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import gevent
from gevent import monkey
from gevent.threadpool import ThreadPool

T = TypeVar("T")
R = TypeVar("R")

_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_get_native_id = monkey.get_original("_thread", "get_native_id")

#: Work in a thread yields the processor to the hub, which has little to do and must do it at once.
_NICE = 5


class Worker(Generic[T]):
    """One real thread that handles what is given to it, all that waits at once.

    :param begin: called once in the thread; what it returns handles the items and says whether it has more
        to do: then it is called again with what has come by then, if only nothing. Neither may raise.
    """

    def __init__(self, begin: Callable[[], Callable[[Sequence[T]], bool]]) -> None:
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._begin = begin
        self._started = False
        self._ended = False

    def start(self) -> None:
        """Start the thread; does nothing if it was started before."""
        if not self._started:
            self._started = True
            _start_new_thread(self._run, ())

    def put(self, item: T) -> None:
        """Hand over an item. Never blocks; who calls bounds how much waits."""
        self._queue.put(item)

    def stop(self, timeout_s: float) -> bool:
        """Let the thread end behind what it is doing; what waits is dropped. Blocks the greenlet.

        An interpreter that ends while a thread is inside of torch aborts.

        :returns: whether the thread has ended within ``timeout_s``.
        """
        self._queue.put(None)
        deadline = time.monotonic() + timeout_s
        while self._started and not self._ended and time.monotonic() < deadline:
            gevent.sleep(0.01)
        return self._ended or not self._started

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended = True

    def _work(self) -> None:
        with contextlib.suppress(OSError):  # a container may forbid it; then all threads are equal
            os.setpriority(os.PRIO_PROCESS, _get_native_id(), _NICE)
        handle = self._begin()
        busy = False
        while True:
            items = [] if busy else [self._queue.get()]
            with contextlib.suppress(Empty):
                while True:
                    items.append(self._queue.get_nowait())
            if None in items:
                return
            busy = handle([item for item in items if item is not None])


class HubCalls:
    """Calls functions on the hub that made it, from any thread."""

    def __init__(self) -> None:
        self._loop = gevent.get_hub().loop

    def post(self, function: Callable[..., Any], *args: Any) -> None:
        """Have ``function`` called on the hub soon. It must neither block nor raise."""
        self._loop.run_callback_threadsafe(function, *args)


class Pool:
    """A few real threads for work that a greenlet waits for.

    :param size: threads at most; who comes when all are busy waits. gevent's own pool is not used: its ten
        threads also resolve names and read files for everybody.
    """

    def __init__(self, size: int) -> None:
        self._pool = ThreadPool(size)

    def apply(self, function: Callable[..., R], *args: Any) -> R:
        """Return ``function(*args)``, or raise what it raises. Blocks the greenlet."""
        result: R = self._pool.apply(function, args)
        return result

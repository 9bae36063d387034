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
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import gevent
from gevent import monkey
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

T = TypeVar("T")
R = TypeVar("R")

_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_get_native_id = monkey.get_original("_thread", "get_native_id")
_sleep: Callable[[float], None] = monkey.get_original("time", "sleep")

#: See ``patiently``.
_PARTS = 10

#: Work in a thread yields the processor to the hub, which has little to do and must do it at once.
_NICE = 5


class Worker(Generic[T]):
    """One real thread that handles what is given to it, all that waits at once.

    :param begin: called once in the thread; what it returns handles the items and says whether it has more
        to do: then it is called again with what has come by then, if only nothing. Where one of them
        raises, the thread ends.
    :param on_end: called in the thread at its end, with what was raised, or None after ``stop``.
    """

    def __init__(
        self,
        begin: Callable[[], Callable[[Sequence[T]], bool]],
        *,
        on_end: Callable[[BaseException | None], None] = lambda error: None,
    ) -> None:
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._begin = begin
        self._on_end = on_end
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
        error: BaseException | None = None
        try:
            self._work()
        except BaseException as raised:
            error = raised  # the top of the thread: whoever owns it is told
        self._ended = True
        self._on_end(error)

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


def let_others_run() -> None:
    """Let go of the interpreter, in a native thread: gevent's own ``sleep`` would make a hub there."""
    _sleep(0)


def patiently(wait: Callable[[float], bool], timeout_s: float) -> bool:
    """Wait up to ``timeout_s``, and return whether what was waited for has come. Blocks the greenlet.

    A process that was stopped and goes on finds its timers due before anything else. So the time is waited in
    parts, of which a stop takes one.

    :param wait: waits up to some seconds; returns whether it has come.
    """
    return any(wait(timeout_s / _PARTS) for _ in range(_PARTS))


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


#: Fewer bytes than these are not worth a turn of the thread, see ``ByteSource.read``.
_LEAST_READ_BYTES = 64
_MOST_READ_BYTES = 1 << 16


#: A turn of a thread takes milliseconds; after this long it will not end, in seconds.
_TURN_TIMEOUT_S = 60.0


#: What one ``Pipe.take`` returns at most: items, and weight of all but the last.
_MOST_ITEMS, _HEAVY = 64, 1 << 18


class ByteSource:
    """The bytes that a ``Pipe`` was given, for the code in its thread. Reading past them waits for more."""

    def __init__(self, starve: Callable[[], None]) -> None:
        self._starve = starve
        self._messages: deque[memoryview] = deque()
        self._count = 0
        self._closed = False

    def put(self, data: bytes) -> None:
        """Add bytes. Only while the thread waits."""
        if data:
            self._messages.append(memoryview(data))
            self._count += len(data)

    def close(self) -> None:
        """Say that no more bytes come. Only while the thread waits."""
        self._closed = True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, up to 64 KiB if it is negative; b"" at the end. Blocks the thread.

        FFmpeg's MP4 demuxer takes a short read in the middle of a box's header for its end, so fewer than 64
        bytes are given out only at the end. A long message is not copied as a whole: that takes the
        interpreter's lock for tens of milliseconds.
        """
        while self._count < _LEAST_READ_BYTES and not self._closed:
            self._starve()
        left = min(self._count, _MOST_READ_BYTES if size < 0 else size)
        self._count -= left
        pieces: list[memoryview] = []
        while left:
            message = self._messages.popleft()
            if len(message) > left:
                self._messages.appendleft(message[left:])
                message = message[:left]
            pieces.append(message)
            left -= len(message)
        return b"".join(pieces)


class Pipe(Generic[T]):
    """Runs a generator in a real thread of its own: bytes go in, items come out.

    The hub and the thread take turns: the thread runs only while somebody waits in ``take``. So nothing is
    shared without order, and what is not taken is not computed.

    :param generate: makes the generator, in the thread; it reads from the source.
    :param weigh: returns how much an item weighs. One ``take`` returns no more than 64 items, and none after
        ``_HEAVY``: what a client sends decides how large they are.
    """

    def __init__(
        self, generate: Callable[[ByteSource], Iterable[T]], *, weigh: Callable[[T], int] = lambda item: 0
    ) -> None:
        self._generate = generate
        self._weigh = weigh
        self._turns: SimpleQueue[bool] = SimpleQueue()
        self._calls = HubCalls()
        self._answer: AsyncResult[bool] = AsyncResult()
        self._items: list[T] = []
        self._problem: Exception | None = None
        self.source = ByteSource(self._yield)
        #: Whether the generator has ended, or was aborted.
        self.ended = False
        #: Whether the generator waits for more bytes.
        self.hungry = True
        _start_new_thread(self._run, ())

    def take(self) -> list[T]:
        """Return the next items, none if the generator needs more bytes or has ended. Blocks the greenlet.

        :raises Exception: what the generator raised, behind the items before it.
        """
        if not self.ended:
            self._answer = AsyncResult()
            self.hungry = False
            self._turns.put(True)
            if not patiently(self._ready, _TURN_TIMEOUT_S):
                raise RuntimeError(f"a thread was silent for {_TURN_TIMEOUT_S:g} s")
        items, self._items = self._items, []
        if not items and self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        return items

    def _ready(self, timeout_s: float) -> bool:
        self._answer.wait(timeout_s)
        return self._answer.ready()

    def abort(self) -> None:
        """Let the thread come to its end; what it has is dropped."""
        if not self.ended:
            self.ended = True
            self._turns.put(False)

    def _run(self) -> None:
        try:
            self._wait()
            weight = 0
            for item in self._generate(self.source):
                if self.ended:
                    return
                self._items.append(item)
                weight += self._weigh(item)
                if len(self._items) >= _MOST_ITEMS or weight > _HEAVY:
                    self._hand_over()
                    weight = 0
        except Exception as error:
            # The top of the thread: whoever takes gets it.
            self._problem = error
        self.ended = True
        self._calls.post(self._answer.set, True)

    def _yield(self) -> None:
        self.hungry = True
        self._hand_over()

    def _hand_over(self) -> None:
        self._calls.post(self._answer.set, True)
        self._wait()

    def _wait(self) -> None:
        if not self._turns.get():
            self.source.close()  # whoever reads it comes to its end

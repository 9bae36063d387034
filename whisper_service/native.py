"""Native threads, and the way back to the hub. No other module of the server starts a thread.

After gevent's monkey-patching, ordinary threads, queues and locks are cooperative: a model that runs in such
a thread stops the server. The threads here are real. They get their work from the C queue, which is never
patched. Their answers go back by the hub's thread-safe callback. Code in such a thread must not touch a
greenlet, a patched lock, or a logging handler that greenlets use.
"""

from __future__ import annotations

import contextlib
import os
import time
from _queue import Empty, SimpleQueue
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

import gevent
from gevent import monkey
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

T = TypeVar("T")
R = TypeVar("R")

_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_get_native_id = monkey.get_original("_thread", "get_native_id")
_sleep: Callable[[float], None] = monkey.get_original("time", "sleep")

#: Number of parts of one wait, see ``patiently``.
_PARTS = 10

#: Niceness of a ``Worker``: it yields the processor to the hub, which has little work but must do it at once.
_NICE = 5


class Worker(Generic[T]):
    """One native thread that handles items. Items that wait at the same time are handled in one call.

    :param begin: called once in the thread. It returns a handler. The handler gets all items that wait, and
        returns whether it has more work; then it is called again at once, even without items. If ``begin`` or
        the handler raises, the thread ends.
    :param on_end: called in the thread when it ends, with the exception, or None after ``stop``.
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
        """Start the thread. A second call does nothing."""
        if not self._started:
            self._started = True
            _start_new_thread(self._run, ())

    def put(self, item: T) -> None:
        """Queue an item. Never blocks. The caller must limit how many items wait."""
        self._queue.put(item)

    def stop(self, timeout_s: float) -> bool:
        """Let the thread end after its current call. Items that wait are dropped. Blocks the greenlet.

        The process aborts if the interpreter ends while a thread is inside torch.

        :returns: whether the thread has ended within ``timeout_s``, or was never started.
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
            error = raised  # the top of the thread: ``on_end`` reports it
        self._ended = True
        self._on_end(error)

    def _work(self) -> None:
        with contextlib.suppress(OSError):  # a container may forbid it; then all priorities are equal
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
    """Release the interpreter lock in a native thread. gevent's own ``sleep`` would create a hub there."""
    _sleep(0)


def patiently(wait: Callable[[float], bool], timeout_s: float) -> bool:
    """Return whether an event came within ``timeout_s``. Blocks the greenlet.

    When a suspended process resumes, its timers expire before it handles any other event. So the wait has
    several parts, and a suspension ends only one of them.

    :param wait: waits for the event for the given number of seconds; returns whether it came.
    """
    return any(wait(timeout_s / _PARTS) for _ in range(_PARTS))


#: So many functions are called in one turn of the event loop. gevent itself looks for timers and sockets
#: only after fifty callbacks, and each answer of a batch may wake a stream that then works for a millisecond.
_CALLS_A_TURN = 4


class HubCalls:
    """Calls functions, from any thread, on the hub of the thread that created the object.

    The functions are called in the order of their posts, a few in each turn of the event loop. So the answers
    of a large batch do not hold up everything else.
    """

    def __init__(self) -> None:
        self._loop = gevent.get_hub().loop
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._next_turn = self._loop.timer(0)
        self._scheduled = False

    def post(self, function: Callable[..., Any], *args: Any) -> None:
        """Schedule a call of ``function`` on the hub. The function must neither block nor raise."""
        self._waiting.append((function, args))
        if not self._scheduled:
            self._scheduled = True
            self._loop.run_callback_threadsafe(self._call)

    def _call(self) -> None:
        try:
            for _ in range(min(_CALLS_A_TURN, len(self._waiting))):
                function, args = self._waiting.popleft()
                function(*args)
        finally:  # the error of one function must not stop the others
            # A thread appends first and looks at the flag afterwards. Here it is the other way round, so that
            # either side sees what the other has done.
            self._scheduled = False
            if self._waiting:
                self._scheduled = True
                self._next_turn.stop()
                self._next_turn.start(self._call)


class Pool:
    """A few native threads for work that a greenlet waits for.

    gevent's own pool is not used: its ten threads also resolve names and read files for the whole process.

    :param size: the highest number of threads. If all are busy, a further call waits.
    """

    def __init__(self, size: int) -> None:
        self._pool = ThreadPool(size)

    def apply(self, function: Callable[..., R], *args: Any) -> R:
        """Return ``function(*args)``, or raise what it raises. Blocks the greenlet.

        gevent would write the traceback of an error in its thread to stderr, so the error crosses as a value:
        a client must not be able to fill the log.
        """

        def run() -> Callable[[], R]:
            try:
                result = function(*args)
            except BaseException as problem:
                return partial(_raise, problem)
            return lambda: result

        answer: Callable[[], R] = self._pool.apply(run)
        return answer()


def _raise(problem: BaseException) -> NoReturn:
    raise problem


#: A read waits for at least the first number of bytes. Without a size it returns at most the second. See
#: ``ByteSource.read``.
_LEAST_READ_BYTES = 64
_MOST_READ_BYTES = 1 << 16


#: A turn of a thread takes milliseconds. After this many seconds the thread counts as hung.
_TURN_TIMEOUT_S = 60.0


#: Limits of one ``Pipe.take``: the number of items, and the weight of all items but the last.
_MOST_ITEMS, _HEAVY = 64, 1 << 18


class ByteSource:
    """The bytes that a ``Pipe`` was given, for the code in its thread. A read beyond them waits for more."""

    def __init__(self, starve: Callable[[], None]) -> None:
        self._starve = starve
        self._messages: deque[memoryview] = deque()
        self._count = 0
        self._closed = False

    def put(self, data: bytes) -> None:
        """Add bytes. Call it only while the thread waits."""
        if data:
            self._messages.append(memoryview(data))
            self._count += len(data)

    def close(self) -> None:
        """Mark the end of the bytes. Call it only while the thread waits."""
        self._closed = True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, or up to 64 KiB if it is negative; b"" at the end. Blocks the thread.

        The read waits for at least 64 bytes, or the end: FFmpeg's MP4 demuxer takes a short read within a box
        header for the end of the file. A long message is not copied as a whole, because that would hold the
        interpreter lock for tens of milliseconds.
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
    """Runs a generator in a native thread of its own: bytes go in, items come out.

    The hub and the thread take turns: the thread runs only while a greenlet waits in ``take``. So they never
    use shared data at the same time, and an item that nobody takes is not computed.

    :param generate: creates the generator, in the thread. The generator reads from the source.
    :param weigh: returns the weight of an item. One ``take`` returns at most 64 items, and no more once their
        weight exceeds ``_HEAVY``: the client's data decides how large the items are.
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
        """Return the next items; none if the generator needs more bytes or has ended. Blocks the greenlet.

        :raises Exception: the error of the generator, after all items before it were returned.
        :raises RuntimeError: if the thread does not end its turn in time.
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
        """Let the thread end, and drop its remaining items."""
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
            # The top of the thread: ``take`` raises it.
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
            self.source.close()  # the generator then reads to the end

"""The bounded queues of one socket: frames that came, and frames that go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from gevent.event import Event

from whisper_service.errors import TranscriptionError
from whisper_service.live import Arrival
from whisper_service.protocol.dialect import Frame
from whisper_service.web.budget import Allowance

#: Frames that wait for the worker: 32 s of slices of 500 ms. Then the reader waits, and TCP holds the client.
_INBOX_FRAMES = 64
#: Frames that wait for a client that does not read; partials replace each other, so these are finals.
_OUTBOX_FRAMES = 1024


class Inbox:
    """Frames from the reader to the worker. Full: the reader waits.

    :param max_bytes: of all frames that wait; one frame is always taken.
    :param allowance: what the connection may hold.
    """

    def __init__(self, max_bytes: int, allowance: Allowance) -> None:
        self._max_bytes = max_bytes
        self._allowance = allowance
        self._frames: deque[Arrival] = deque()
        self._bytes = 0  # of these
        self._arriving = self._at_work = 0  # bytes of the frame before them, and of the one after them
        #: Whether the reader waits for room: it hears nothing meanwhile, no pong either.
        self.full = False
        #: Frames that came after the end, or waited when it was reached.
        self.dropped = 0
        # One for each side: only who waits for an event clears it, or a wake-up would be lost.
        self._news = Event()
        self._room = Event()
        self._ended = False
        self._last_words: TranscriptionError | None = None
        self._problem: TranscriptionError | None = None

    def put(self, arrival: Arrival) -> bool:
        """Add a frame; blocks while the inbox is full and somebody may still empty it.

        :returns: whether it had to wait.
        """
        self._arriving = len(arrival.data)
        self._hold()
        while self._frames and not self._ended and self._is_full():
            self.full = True
            self._room.clear()
            self._room.wait()
        waited, self.full = self.full, False
        self._arriving = 0
        if self._ended:
            self.dropped += 1
        else:
            self._frames.append(arrival)
            self._bytes += len(arrival.data)
            self._news.set()
        self._hold()
        return waited

    def end(self, error: TranscriptionError | None = None) -> None:
        """Take no more frames; behind those that wait comes ``error``, or the plain end."""
        if not self._ended:
            self._last_words = error
            self._end()

    def interrupt(self, problem: TranscriptionError) -> None:
        """End at once with ``problem``, whatever waits."""
        self._problem = problem
        self._end()

    def __iter__(self) -> Iterator[Arrival]:
        while True:
            while not (self._frames or self._ended):
                self._news.clear()
                self._news.wait()
            if self._problem is not None:
                raise self._problem
            if not self._frames:
                if self._last_words is not None:
                    raise self._last_words
                return
            arrival = self._frames.popleft()
            self._bytes -= len(arrival.data)
            self._at_work = len(arrival.data)
            self._room.set()
            yield arrival
            del arrival  # done with: while the next one is waited for, nothing is held of it
            self._at_work = 0
            self._hold()

    def clear(self) -> None:
        """Drop what waits; nobody reads it any more."""
        self.dropped += len(self._frames)
        self._frames.clear()
        self._bytes = self._at_work = 0
        self._hold()

    def _hold(self) -> None:
        self._allowance.note("inbox", self._arriving + self._bytes + self._at_work)

    def _end(self) -> None:
        self._ended = True
        self._news.set()
        self._room.set()

    def _is_full(self) -> bool:
        too_many = len(self._frames) >= _INBOX_FRAMES or self._bytes + self._arriving > self._max_bytes
        return too_many or self._allowance.is_tight


class Outbox:
    """Frames for the client. Full: ``overflow`` is called, once."""

    def __init__(self, overflow: Callable[[], None]) -> None:
        self._overflow = overflow
        self._frames: deque[Frame] = deque()
        self._changed = Event()
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Add a frame; never blocks. One that ``replaces`` takes the place of one like it at the end."""
        if self._closed:
            return
        if frame.replaces and self._frames and self._frames[-1].replaces:
            self._frames.pop()
        if len(self._frames) >= _OUTBOX_FRAMES:
            self._closed = True
            self._frames.clear()
            self._overflow()
            return
        self._frames.append(frame)
        self._changed.set()

    def close(self) -> None:
        """Take no more frames."""
        self._closed = True
        self._changed.set()

    def get(self, timeout_s: float) -> str | None:
        """Return the text of the next frame, or None if there is none within ``timeout_s`` or ever."""
        if not self._frames and not self._closed:
            self._changed.clear()
            self._changed.wait(timeout_s)
        return self._frames.popleft().text if self._frames else None

    @property
    def drained(self) -> bool:
        """Whether nothing will come any more."""
        return self._closed and not self._frames

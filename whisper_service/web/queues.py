"""The bounded queues of one socket: the frames from the client, and the frames for the client."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from gevent.event import Event

from whisper_service.errors import TranscriptionError
from whisper_service.parts import Arrival
from whisper_service.protocol.dialect import Frame
from whisper_service.web.budget import Allowance

#: Limit on the frames that wait for the worker: 32 s in slices of 500 ms. At the limit the reader waits, and
#: TCP holds the client back.
_INBOX_FRAMES = 64
#: Limit on the frames for a client that does not read. Partials in a row count as one.
_OUTBOX_FRAMES = 1024


class Inbox:
    """Frames from the reader to the worker. While it is full, the reader waits.

    :param max_bytes: limit for all frames that wait. An empty inbox accepts a frame of any size.
    :param allowance: the connection's account in the byte budget.
    """

    def __init__(self, max_bytes: int, allowance: Allowance) -> None:
        self._max_bytes = max_bytes
        self._allowance = allowance
        self._frames: deque[Arrival] = deque()
        self._bytes = 0  # of the frames that wait
        self._arriving = self._at_work = 0  # bytes of the frame in ``put``, and of the worker's frame
        #: Whether the reader waits for room. Meanwhile it receives nothing, not even a pong.
        self.full = False
        # One event for each side. Only the greenlet that waits for an event clears it, or a wake-up could
        # be lost.
        self._news = Event()
        self._room = Event()
        self._ended = False
        self._last_words: TranscriptionError | None = None
        self._problem: TranscriptionError | None = None

    def put(self, arrival: Arrival) -> bool:
        """Add a frame. Blocks while the inbox is full and has not ended.

        :returns: whether the call had to wait.
        """
        self._arriving = len(arrival.data)
        self._hold()
        while self._frames and not self._ended and self._is_full():
            self.full = True
            self._room.clear()
            self._room.wait()
        waited, self.full = self.full, False
        self._arriving = 0
        if not self._ended:
            self._frames.append(arrival)
            self._bytes += len(arrival.data)
            self._news.set()
        self._hold()
        return waited

    def end(self, error: TranscriptionError | None = None) -> None:
        """Accept no more frames. After the frames that wait, the iteration ends, or raises ``error``."""
        if not self._ended:
            self._last_words = error
            self._end()

    def interrupt(self, problem: TranscriptionError) -> None:
        """End at once: the iteration raises ``problem`` next, even if frames wait."""
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
            del arrival  # frees its memory while we wait for the next one
            self._at_work = 0
            self._hold()

    def clear(self) -> None:
        """Drop the frames that wait. Nobody will read them."""
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
    """Frames for the client. If one does not fit, it drops all, closes, and calls ``overflow`` once."""

    def __init__(self, overflow: Callable[[], None]) -> None:
        self._overflow = overflow
        self._frames: deque[Frame] = deque()
        self._changed = Event()
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Add a frame; never blocks. It replaces the last waiting frame if both have ``replaces``."""
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
        """Accept no more frames."""
        self._closed = True
        self._changed.set()

    def get(self, timeout_s: float) -> str | None:
        """Return the text of the next frame; None if none comes within ``timeout_s`` or after a close."""
        if not self._frames and not self._closed:
            self._changed.clear()
            self._changed.wait(timeout_s)
        return self._frames.popleft().text if self._frames else None

    @property
    def drained(self) -> bool:
        """Whether the outbox is closed and empty."""
        return self._closed and not self._frames

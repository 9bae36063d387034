"""One open WebSocket: a reader, a worker and a writer greenlet, with bounded queues between them.

The reader answers pings whatever the worker does; the worker runs the stream; the writer sends, and pings.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator

import gevent
from gevent.event import Event

from whisper_service.errors import Full, InternalError, TooBig, TooSlow, TranscriptionError
from whisper_service.live import Frame
from whisper_service.protocol import messages
from whisper_service.web.budget import Allowance
from whisper_service.web.transport import Transport, TransportClosed

log = logging.getLogger(__name__)

#: What waits for the worker: 32 s of slices of 500 ms, or one long message. Then the reader waits, and TCP
#: holds the client.
_INBOX_FRAMES = 64
_INBOX_BYTES = 4 << 20
#: After this long without anything to read, a client that was kept waiting has caught up.
_CAUGHT_UP_S = 0.05
#: Pings in a row that may go without an answer.
_PINGS_MISSED = 2
#: Frames that wait for a client that does not read; partials replace each other, so these are finals.
_OUTBOX_FRAMES = 1024
#: How long the last messages may take to go out.
_FLUSH_TIMEOUT_S = 10.0
_FAULT = 1011


def explain_in_json(problem: TranscriptionError) -> str:
    """Return the error message of the native protocol."""
    return messages.encode(messages.error(problem))


class Inbox:
    """Frames from the reader to the worker. Full: the reader waits.

    :param max_bytes: of all frames that wait; one frame is always taken.
    :param allowance: what the connection may hold.
    """

    def __init__(self, max_bytes: int, allowance: Allowance) -> None:
        self._max_bytes = max_bytes
        self._allowance = allowance
        self._frames: deque[Frame] = deque()
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

    def put(self, frame: Frame) -> bool:
        """Add a frame; blocks while the inbox is full and somebody may still empty it.

        :returns: whether it had to wait.
        """
        self._arriving = len(frame.data)
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
            self._frames.append(frame)
            self._bytes += len(frame.data)
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

    def __iter__(self) -> Iterator[Frame]:
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
            frame = self._frames.popleft()
            self._bytes -= len(frame.data)
            self._at_work = len(frame.data)
            self._room.set()
            yield frame
            del frame  # done with: while the next one is waited for, nothing is held of it
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
        self._frames: deque[tuple[str, bool]] = deque()
        self._changed = Event()
        self._closed = False

    def put(self, frame: str, *, replaces: bool = False) -> None:
        """Add a frame; never blocks. One that ``replaces`` takes the place of one like it at the end."""
        if self._closed:
            return
        if replaces and self._frames and self._frames[-1][1]:
            self._frames.pop()
        if len(self._frames) >= _OUTBOX_FRAMES:
            self._closed = True
            self._frames.clear()
            self._overflow()
            return
        self._frames.append((frame, replaces))
        self._changed.set()

    def close(self) -> None:
        """Take no more frames."""
        self._closed = True
        self._changed.set()

    def get(self, timeout_s: float) -> str | None:
        """Return the next frame, or None if there is none within ``timeout_s`` or ever."""
        if not self._frames and not self._closed:
            self._changed.clear()
            self._changed.wait(timeout_s)
        return self._frames.popleft()[0] if self._frames else None

    @property
    def drained(self) -> bool:
        """Whether nothing will come any more."""
        return self._closed and not self._frames


class Conversation:
    """Runs a stream on a transport.

    :param work: runs the stream: takes the inbox's frames, returns when it is done. It gets this object to
        send with.
    :param ping_interval_s: a client that answers two pings in a row with nothing is given up.
    :param explain: returns the frame that tells of a problem, None for a client that is told none.
    """

    def __init__(
        self,
        transport: Transport,
        work: Callable[[Conversation], None],
        *,
        ping_interval_s: float,
        explain: Callable[[TranscriptionError], str | None] = explain_in_json,
    ) -> None:
        self._transport = transport
        self._work = work
        self._ping_interval_s = ping_interval_s
        self._closing = False
        self._pings_missed = 0
        self._pinged_at = time.monotonic()
        self._was_full = False  # the inbox, since the last ping
        self._listens = True
        self.explain = explain
        #: Called when the stream has to end by a time of the monotonic clock.
        self.on_deadline: Callable[[float], None] = lambda deadline: None
        self.inbox = Inbox(_INBOX_BYTES, transport.allowance)
        self._outbox = Outbox(lambda: self.fail(TooSlow("The client does not read what it is sent.")))

    def send(self, frame: str, *, replaces: bool = False) -> None:
        """Send a frame; never blocks."""
        self._outbox.put(frame, replaces=replaces)

    def fail(self, problem: TranscriptionError) -> None:
        """End the stream with ``problem``; never blocks."""
        self.inbox.interrupt(problem)

    def drain(self, problem: TranscriptionError, deadline: float) -> None:
        """End the stream with ``problem`` once what was received is transcribed; never blocks.

        :param deadline: time of the monotonic clock at which it ends even so.
        """
        self.inbox.end(problem)
        self.on_deadline(deadline)

    def run(self) -> None:
        """Blocks until the connection has ended."""
        worker = gevent.spawn(self._run_worker)
        try:
            self._read()
        except (TooBig, Full) as problem:
            self._listens = False
            self.inbox.end(problem)
            worker.join()
        finally:
            self.inbox.end()
            if not self._closing:
                worker.kill()  # the client is gone: nobody is left to read the answers
            worker.join()
            self.inbox.clear()

    def _read(self) -> None:
        held = False
        while True:
            began = time.monotonic()
            data = self._transport.receive()
            now = time.monotonic()
            if data is None:
                return
            if now - began > _CAUGHT_UP_S:
                held = False
            if self.inbox.put(Frame(data, now, held)):
                held = self._was_full = True
            del data  # while the next one is waited for, nothing is held of this one

    def _run_worker(self) -> None:
        writer = gevent.spawn(self._write)
        code, reason = 1001, ""  # of a worker that is killed
        try:
            self._work(self)
            code = 1000
        except TranscriptionError as problem:
            code, reason = self._say(problem)
        except Exception:
            log.exception("a stream failed")
            code, reason = self._say(InternalError("The server failed; its log says why."))
        finally:
            self.inbox.end()  # a reader that waits for room must not wait for ever
            self._outbox.close()
            writer.join(_FLUSH_TIMEOUT_S)
            writer.kill()
            self._closing = True
            self._transport.close(code, reason)

    def _say(self, problem: TranscriptionError) -> tuple[int, str]:
        problem.ends_stream = True
        frame = self.explain(problem)
        if frame is not None:
            self._outbox.put(frame)
        return problem.close_code or 4400, problem.code

    def _write(self) -> None:
        next_ping = time.monotonic() + self._ping_interval_s
        try:
            while not self._outbox.drained:
                frame = self._outbox.get(max(0.0, next_ping - time.monotonic()))
                if frame is not None:
                    self._transport.send(frame)
                elif time.monotonic() >= next_ping:
                    self._ping()
                    next_ping = time.monotonic() + self._ping_interval_s
        except TransportClosed as problem:
            log.debug("the client takes no more: %s", problem)
            self._transport.close(_FAULT)
        except Exception:
            log.exception("a message could not be sent")
            self.fail(InternalError("The server failed; its log says why."))
            self._transport.close(_FAULT, InternalError.code)

    def _ping(self) -> None:
        """Ping the client, or give it up: it has answered nothing while somebody listened.

        Pings are counted, and not seconds: after a time in which the whole process stood still, nobody has
        listened, and the answer is still to be read.
        """
        deaf = self.inbox.full or self._was_full or not self._listens
        self._was_full = False
        silent = self._transport.last_heard < self._pinged_at
        self._pings_missed = self._pings_missed + 1 if silent and not deaf else 0
        if self._pings_missed >= _PINGS_MISSED:
            log.info("no pong from a client; giving it up")
            raise TransportClosed("no pong")
        self._pinged_at = time.monotonic()
        self._transport.ping()

"""One open WebSocket: a reader, a worker and a writer greenlet, with bounded queues between them.

The reader answers pings even while the worker is busy. The worker runs the stream. The writer sends messages
and pings.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import gevent

from whisper_service.errors import Full, Idle, InternalError, TooBig, TooSlow, TranscriptionError
from whisper_service.parts import Arrival
from whisper_service.protocol.dialect import Failure, Frame
from whisper_service.web.queues import Inbox, Outbox
from whisper_service.web.transport import Transport, TransportClosed

log = logging.getLogger(__name__)

#: Limit on the bytes that wait for the worker; one message may be longer. At the limit the reader waits, and
#: TCP holds the client back.
_INBOX_BYTES = 4 << 20
#: A client that was held back has caught up once the reader waits this long for its data, in seconds.
_CAUGHT_UP_S = 0.05
#: A client is given up after this many pings in a row without an answer.
_PINGS_MISSED = 2
#: How long it may take to send the last messages, in seconds.
_FLUSH_TIMEOUT_S = 10.0
_INTERNAL_ERROR = 1011


class Pulse(NamedTuple):
    """How often a client must show itself, and how often it may.

    :param ping_interval_s: time between two pings. A client that answers neither of two pings is given up.
    :param idle_s: a client that sends no message for this long is closed.
    :param messages_s: the largest number of messages a second; faster ones wait.
    """

    ping_interval_s: float
    idle_s: float = math.inf
    messages_s: int = 1_000_000


class Socket:
    """Runs a stream on a transport.

    :param work: runs the stream on this socket. It reads the inbox and returns when the stream has ended.
    :param fail: returns the messages and the close code for a problem that ends the stream; see
        ``Dialect.fail``.
    """

    def __init__(
        self,
        transport: Transport,
        work: Callable[[Socket], None],
        *,
        pulse: Pulse,
        fail: Callable[[TranscriptionError], Failure],
    ) -> None:
        self._transport = transport
        self._work = work
        self._pulse = pulse
        self._last_message = time.monotonic()
        self._closing = False
        self._pings_missed = 0
        self._pinged_at = -math.inf  # no ping yet
        self._was_full = False  # whether the inbox was full since the last ping
        self._reads = True
        self._owed, self._owed_at = 0.0, 0.0  # messages beyond the allowed rate, and when that was counted
        self._explain = fail
        #: Called with the time of the monotonic clock by which the stream has to end.
        self.set_deadline: Callable[[float], None] = lambda deadline: None
        self.inbox = Inbox(_INBOX_BYTES, transport.allowance)
        self._outbox = Outbox(lambda: self.fail(TooSlow("The client does not read what it is sent.")))

    def send(self, frames: Sequence[Frame]) -> None:
        """Send frames; never blocks."""
        for frame in frames:
            self._outbox.put(frame)

    def fail(self, problem: TranscriptionError) -> None:
        """End the stream with ``problem``; never blocks."""
        self.inbox.interrupt(problem)

    def drain(self, problem: TranscriptionError, deadline: float) -> None:
        """End the stream with ``problem`` once the received audio is transcribed; never blocks.

        :param deadline: time of the monotonic clock at which the stream ends in any case.
        """
        self.inbox.end(problem)
        self.set_deadline(deadline)

    def run(self) -> None:
        """Run the connection. Blocks until it has ended."""
        worker = gevent.spawn(self._run_worker)
        try:
            self._read()
        except (TooBig, Full) as problem:
            self._reads = False
            self.inbox.end(problem)
            worker.join()
        finally:
            self.inbox.end()
            if not self._closing:
                worker.kill()  # the client has gone: nobody will read the answers
            worker.join()
            self.inbox.clear()

    def _read(self) -> None:
        held = False
        while True:
            began = time.monotonic()
            data = self._transport.receive()
            now = self._last_message = time.monotonic()
            if data is None:
                return
            held |= self._slow_down(now)
            if now - began > _CAUGHT_UP_S:
                held = False
            if self.inbox.put(Arrival(data, now, held)):
                held = self._was_full = True
            del data  # frees its memory while we wait for the next message

    def _slow_down(self, now: float) -> bool:
        """Wait if the client sends too many messages a second; return whether it did.

        It may send those of a second at once.
        """
        self._owed = max(0.0, self._owed - (now - self._owed_at) * self._pulse.messages_s) + 1
        self._owed_at = now
        if self._owed <= self._pulse.messages_s:
            return False
        gevent.sleep((self._owed - self._pulse.messages_s) / self._pulse.messages_s)
        return True

    def _run_worker(self) -> None:
        writer = gevent.spawn(self._write)
        code, reason = 1001, ""  # for a worker that is killed
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
        failure = self._explain(problem)
        self.send(failure.frames)
        return failure.close_code, failure.reason

    def _write(self) -> None:
        next_ping = time.monotonic() + self._next_look_s
        try:
            while not self._outbox.drained:
                text = self._outbox.get(max(0.0, next_ping - time.monotonic()))
                if text is not None:
                    self._transport.send(text)
                elif time.monotonic() >= next_ping:
                    self._ping()
                    next_ping = time.monotonic() + self._next_look_s
        except TransportClosed as problem:
            log.debug("the client accepts no more messages: %s", problem)
            self._transport.close(_INTERNAL_ERROR)
        except Exception:
            log.exception("a message could not be sent")
            self.fail(InternalError("The server failed; its log says why."))
            self._transport.close(_INTERNAL_ERROR, InternalError.code)

    @property
    def _next_look_s(self) -> float:
        return min(self._pulse.ping_interval_s, self._pulse.idle_s)

    def _ping(self) -> None:
        """Ping the client, or give it up if it sent nothing after two pings while the reader was listening.

        The limit counts pings, not seconds: if the whole process was stopped for a time, nobody was
        listening, and the pong is still to be read.

        :raises TransportClosed: if the client is given up.
        """
        not_reading = self.inbox.full or self._was_full or not self._reads
        if not not_reading and time.monotonic() - self._last_message >= self._pulse.idle_s:
            self.fail(Idle(f"Nothing has come for {self._pulse.idle_s:g} s."))
        self._was_full = False
        silent = self._transport.last_heard < self._pinged_at
        self._pings_missed = self._pings_missed + 1 if silent and not not_reading else 0
        if self._pings_missed >= _PINGS_MISSED:
            log.info("nothing came from a client since two pings; giving it up")
            raise TransportClosed("no pong")
        self._pinged_at = time.monotonic()
        self._transport.ping()

"""One open WebSocket: a reader, a worker and a writer greenlet, with bounded queues between them.

The reader answers pings whatever the worker does; the worker runs the stream; the writer sends, and pings.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import gevent

from whisper_service.errors import Full, InternalError, TooBig, TooSlow, TranscriptionError
from whisper_service.live import Arrival
from whisper_service.protocol.dialect import Failure, Frame
from whisper_service.web.queues import Inbox, Outbox
from whisper_service.web.transport import Transport, TransportClosed

log = logging.getLogger(__name__)

#: Bytes that wait for the worker, or one long message. Then the reader waits, and TCP holds the client.
_INBOX_BYTES = 4 << 20
#: After this long without anything to read, a client that was kept waiting has caught up.
_CAUGHT_UP_S = 0.05
#: Pings in a row that may go without an answer.
_PINGS_MISSED = 2
#: How long the last messages may take to go out.
_FLUSH_TIMEOUT_S = 10.0
_FAULT = 1011


class Socket:
    """Runs a stream on a transport.

    :param work: runs the stream on this socket: takes what arrives in the inbox, and returns at its end.
    :param ping_interval_s: a client that answers two pings in a row with nothing is given up.
    :param fail: see ``Dialect.fail``: how the client learns of the problem that ends the stream.
    """

    def __init__(
        self,
        transport: Transport,
        work: Callable[[Socket], None],
        *,
        ping_interval_s: float,
        fail: Callable[[TranscriptionError], Failure],
    ) -> None:
        self._transport = transport
        self._work = work
        self._ping_interval_s = ping_interval_s
        self._closing = False
        self._pings_missed = 0
        self._pinged_at = time.monotonic()
        self._was_full = False  # the inbox, since the last ping
        self._listens = True
        self._explain = fail
        #: Called when the stream has to end by a time of the monotonic clock.
        self.on_deadline: Callable[[float], None] = lambda deadline: None
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
            if self.inbox.put(Arrival(data, now, held)):
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
        failure = self._explain(problem)
        self.send(failure.frames)
        return failure.close_code, failure.reason

    def _write(self) -> None:
        next_ping = time.monotonic() + self._ping_interval_s
        try:
            while not self._outbox.drained:
                text = self._outbox.get(max(0.0, next_ping - time.monotonic()))
                if text is not None:
                    self._transport.send(text)
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

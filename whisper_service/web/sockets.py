"""The open sockets of one app, and how all of them are drained."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent

from whisper_service.errors import Draining
from whisper_service.web.budget import ByteBudget
from whisper_service.web.socket import Socket

log = logging.getLogger(__name__)

#: How long after the drain's deadline the last messages may still take to be sent, in seconds.
_CLOSING_S = 2.0


class Sockets:
    """All open sockets of an app in this process.

    :param buffer_bytes: limit on the bytes of unfinished and unread messages that they hold together.
    """

    def __init__(self, buffer_bytes: int) -> None:
        self.budget = ByteBudget(buffer_bytes)
        self._open: set[Socket] = set()

    @contextmanager
    def opened(self, socket: Socket) -> Iterator[None]:
        """Count ``socket`` as open during the ``with`` block."""
        self._open.add(socket)
        try:
            yield
        finally:
            self._open.discard(socket)

    def drain(self, timeout_s: float) -> None:
        """Make the text of every open stream final and close the socket with 1012. Blocks.

        All streams have the same deadline. If a stream has not finished by then, its client is told how much
        audio was not transcribed. Sockets that open meanwhile are not waited for.
        """
        open_now = list(self._open)
        if open_now:
            log.info("draining %d streams", len(open_now))
        deadline = time.monotonic() + timeout_s
        for socket in open_now:
            socket.drain(Draining(), deadline)
        while (left := self._open.intersection(open_now)) and time.monotonic() < deadline + _CLOSING_S:
            gevent.sleep(0.02)
        if left:
            log.warning("%d streams were not finished in time", len(left))

"""The open sockets of one app, and how they end together."""

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

#: How long the last messages of a drained stream may take to go out, beyond its last words.
_CLOSING_S = 2.0


class Sockets:
    """All open sockets of an app in this process.

    :param buffer_bytes: they may hold so much of unfinished and unread messages together.
    """

    def __init__(self, buffer_bytes: int) -> None:
        self.budget = ByteBudget(buffer_bytes)
        self._open: set[Socket] = set()

    @contextmanager
    def opened(self, socket: Socket) -> Iterator[None]:
        """Count ``socket`` as open for the body's time."""
        self._open.add(socket)
        try:
            yield
        finally:
            self._open.discard(socket)

    def drain(self, timeout_s: float) -> None:
        """Make the stream of every open socket final and close it with 1012. Blocks.

        There is one deadline for all of it. A stream that has not come to its end by then is told what is
        lost. Sockets that open meanwhile are not waited for.
        """
        open_now = list(self._open)
        if open_now:
            log.info("draining %d streams", len(open_now))
        deadline = time.monotonic() + timeout_s
        for socket in open_now:
            socket.drain(Draining("The server is about to stop; connect again."), deadline)
        while (left := self._open.intersection(open_now)) and time.monotonic() < deadline + _CLOSING_S:
            gevent.sleep(0.02)
        if left:
            log.warning("%d streams were not finished in time", len(left))

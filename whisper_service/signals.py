"""Signals for the app that mounts the service: it can store, alert and bill without trusting the browser.

The signals are those of blinker, as Flask's own. The sender is the app, and receivers run in its context:

- ``stream_opened``: the first audio has come. With ``resumed`` if the stream goes on over another connection.
- ``final``: ``event`` is an ``events.Final``.
- ``keyword``: ``event`` is an ``events.KeywordSpotted``.
- ``stream_done``: the connection has ended. ``seconds`` is the audio since the stream's beginning, and
  ``account`` an ``events.Account``. It is None if the client has not ended the stream: perhaps it goes on
  elsewhere.

All have ``identity``, a ``web.admission.Identity``, and ``stream``, the stream's name, which it keeps when it
goes on elsewhere. If a server is killed, the next one may send a final again: the key of a final is
``(stream, event.number)``.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

import gevent
from blinker import NamedSignal, Namespace
from flask import Flask
from gevent.event import Event as Wakeup

from whisper_service.events import Account, Event, Final, KeywordSpotted
from whisper_service.parts import Listener

log = logging.getLogger(__name__)

_namespace = Namespace()
stream_opened = _namespace.signal("stream-opened")
final = _namespace.signal("final")
keyword = _namespace.signal("keyword")
stream_done = _namespace.signal("stream-done")

#: So many signals may wait for slow receivers. Later ones are lost, and counted.
MOST_WAITING = 10_000


class Courier:
    """Sends signals to the receivers one after the other, in a greenlet of its own: no stream waits for them.

    :param app: the sender. Its context is pushed for each signal.
    """

    def __init__(self, app: Flask, *, most_waiting: int = MOST_WAITING) -> None:
        self._app = app
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[NamedSignal, dict[str, Any]]] = deque()
        self._is_running = False
        self._idle = Wakeup()
        self._idle.set()
        #: How many signals were lost because too many waited.
        self.lost = 0

    def post(self, signal: NamedSignal, **values: Any) -> None:
        """Send ``signal`` later; never blocks. It costs nothing if nobody receives it."""
        if not signal.receivers:
            return
        if len(self._waiting) >= self._most_waiting:
            if not self.lost:
                log.error("receivers of signals are too slow: signals are lost from now on")
            self.lost += 1
            return
        self._waiting.append((signal, values))
        if not self._is_running:
            self._is_running = True
            self._idle.clear()
            gevent.spawn(self._deliver_all)

    def flush(self, timeout_s: float) -> None:
        """Wait until all signals are delivered. Blocks."""
        if not self._idle.wait(timeout_s):
            log.error("%d signals were not delivered in time", len(self._waiting))

    def _deliver_all(self) -> None:
        try:
            while self._waiting:
                self._deliver(*self._waiting.popleft())
        finally:
            self._is_running = False
            self._idle.set()

    def _deliver(self, signal: NamedSignal, values: dict[str, Any]) -> None:
        for receiver in signal.receivers_for(self._app):
            try:
                with self._app.app_context():
                    receiver(self._app, **values)
            except Exception:
                log.exception("a receiver of %s failed", signal.name)


class Reporter(Listener):
    """The listener of one stream: it turns what happens into signals.

    :param identity: who the stream belongs to.
    """

    def __init__(self, courier: Courier, identity: object) -> None:
        self._courier = courier
        self._identity = identity

    def opened(self, stream: str, *, resumed: bool) -> None:
        """Post ``stream_opened``."""
        self._courier.post(stream_opened, identity=self._identity, stream=stream, resumed=resumed)

    def told(self, stream: str, event: Event, delay_s: float | None) -> None:
        """Post ``final`` or ``keyword``."""
        if isinstance(event, Final | KeywordSpotted):
            signal = final if isinstance(event, Final) else keyword
            self._courier.post(signal, identity=self._identity, stream=stream, event=event)

    def closed(self, stream: str, *, seconds: float, account: Account | None) -> None:
        """Post ``stream_done``."""
        values = {"identity": self._identity, "stream": stream, "seconds": seconds, "account": account}
        self._courier.post(stream_done, **values)

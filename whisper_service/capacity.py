"""Decides whether one more stream can be served. So the streams that are served stay in time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from whisper_service.errors import Full

log = logging.getLogger(__name__)

#: The engine may be planned to be busy for this share of the time. The rest is for partials and for chance.
_BUSIEST = 0.85
#: A stream counts at least for this share of the speech that it may bring: nobody speaks all the time, but
#: silent streams may all begin to speak.
_SPEECH = 0.6
#: The load that a new stream brings shows after this time, in seconds. Until then it counts as expected.
_SHOWS_AFTER_S = 10.0
#: A client that is refused is asked to come back after this time, in seconds.
RETRY_AFTER_S = 10


class Load(Protocol):
    """The load of an engine, see ``engine.pace.Pace``."""

    @property
    def job_s(self) -> float:
        """The time that one request takes, in seconds."""

    def load(self, now: float) -> float:
        """Return the share of the time that the jobs take."""


class Capacity:
    """The open streams of one engine.

    :param pace: returns the load of the engine.
    :param jobs_per_s: how many jobs a stream brings for each second of speech.
    :param limit: the largest number of streams. None: as many as the engine can serve in time.
    :param clock: the monotonic time in seconds.
    """

    def __init__(
        self,
        pace: Callable[[], Load],
        *,
        jobs_per_s: float,
        limit: int | None,
        clock: Callable[[], float],
    ) -> None:
        self._pace = pace
        self._jobs_per_s = jobs_per_s
        self._limit = limit
        self._clock = clock
        self._since: list[float] = []  # when each open stream came

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a stream as open during the ``with`` block.

        :raises Full: if it cannot be served in time beside the others.
        """
        if not self._has_room():
            log.info("a stream is refused: %d are open", len(self._since))
            raise Full(
                f"The server is full: it serves {len(self._since)} streams. Try again in {RETRY_AFTER_S} s.",
                retry_after_s=RETRY_AFTER_S,
            )
        came = self._clock()
        self._since.append(came)
        try:
            yield
        finally:
            self._since.remove(came)

    def _has_room(self) -> bool:
        if self._limit is not None:
            return len(self._since) < self._limit
        if not self._since:
            return True
        now, pace = self._clock(), self._pace()
        one = self._jobs_per_s * pace.job_s
        shown = [min(1.0, (now - came) / _SHOWS_AFTER_S) for came in self._since]
        expected = one * sum(1.0 - share for share in shown)
        known = max(pace.load(now), one * _SPEECH * sum(shown))
        return known + expected + one <= _BUSIEST

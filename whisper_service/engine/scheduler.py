"""Chooses the requests of the next batch. It uses no torch, no clock and no thread."""

from __future__ import annotations

import heapq
from itertools import count

from whisper_service.engine.request import Kind, Request

#: How long each kind may wait before it is due, in seconds. The urgent kinds have a head start, not absolute
#: priority: a partial that has waited long goes before a final that has just come, so no request starves.
_PATIENCE_S = {Kind.FINAL: 0.0, Kind.COMMIT: 0.25, Kind.DISPLAY: 0.5}

#: The time at which a request is due, its place in the order of arrival, and the request.
_Entry = tuple[float, int, Request]


class Scheduler:
    """The requests that wait. The request with the earliest deadline goes first.

    A final or commit request is never replaced. A stream may have only one of them waiting. A display request
    is replaced by any newer request of its stream, because its partial would be out of date.

    :param max_batch: the largest number of requests in a batch.
    """

    def __init__(self, *, max_batch: int) -> None:
        self.max_batch = max_batch
        self._waiting: list[_Entry] = []  # a heap
        self._order = count()
        self._displays: dict[str, Request] = {}

    def add(self, request: Request, now_s: float) -> None:
        """Add a request.

        :param now_s: the time at which it came, in seconds, on any monotonic clock.
        """
        self._displays.pop(request.stream, None)
        if request.kind is Kind.DISPLAY:
            self._displays[request.stream] = request
        heapq.heappush(self._waiting, (now_s + _PATIENCE_S[request.kind], next(self._order), request))

    def cancel(self, stream: str) -> None:
        """Drop the waiting requests of ``stream``."""
        self._displays.pop(stream, None)
        self._waiting = [entry for entry in self._waiting if entry[2].stream != stream]
        heapq.heapify(self._waiting)

    def pop(self) -> list[Request]:
        """Return the next batch, the most urgent request first; an empty list if none waits."""
        batch: list[Request] = []
        while self._waiting and len(batch) < self.max_batch:
            _, _, request = heapq.heappop(self._waiting)
            if request.kind is not Kind.DISPLAY:
                batch.append(request)
            elif self._displays.get(request.stream) is request:
                del self._displays[request.stream]
                batch.append(request)
        return batch

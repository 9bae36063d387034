"""Which requests are answered next, together. Only decides: no torch, no clock, no thread."""

from __future__ import annotations

import heapq
from itertools import count

from whisper_service.engine.request import Kind, Request

#: How long each kind may wait before it is due, in seconds. Between kinds this is a head start, no barrier: a
#: partial that has waited long goes before a final that has just come, so nothing starves.
_PATIENCE_S = {Kind.FINAL: 0.0, Kind.COMMIT: 0.25, Kind.DISPLAY: 0.5}

#: When a request is due, in which order it came, and the request.
_Entry = tuple[float, int, Request]


class Scheduler:
    """Requests that wait; the earliest deadline goes first.

    A final or commit is never dropped: a stream asks for one at a time. A display request is replaced by any
    newer request of its stream: what it would show is old.

    :param most: how many requests are answered together at most.
    """

    def __init__(self, *, most: int) -> None:
        self.most = most
        self._waiting: list[_Entry] = []  # a heap
        self._order = count()
        self._displays: dict[str, Request] = {}

    def add(self, request: Request, now_s: float) -> None:
        """Let ``request`` wait, which came at ``now_s`` on any clock that only runs forward."""
        self._displays.pop(request.stream, None)
        if request.kind is Kind.DISPLAY:
            self._displays[request.stream] = request
        heapq.heappush(self._waiting, (now_s + _PATIENCE_S[request.kind], next(self._order), request))

    def cancel(self, stream: str) -> None:
        """Drop what waits for ``stream``."""
        self._displays.pop(stream, None)
        self._waiting = [entry for entry in self._waiting if entry[2].stream != stream]
        heapq.heapify(self._waiting)

    def pop(self) -> list[Request]:
        """Return the requests to answer now, the most urgent first; none if none waits."""
        batch: list[Request] = []
        while self._waiting and len(batch) < self.most:
            _, _, request = heapq.heappop(self._waiting)
            if request.kind is not Kind.DISPLAY:
                batch.append(request)
            elif self._displays.get(request.stream) is request:
                del self._displays[request.stream]
                batch.append(request)
        return batch

"""Which request is answered next. Only decides: no torch, no clock, no thread."""

from __future__ import annotations

import heapq
from itertools import count

from whisper_service.engine.request import Kind, Request


class Scheduler:
    """Requests that wait.

    Finals go before commits, commits before displays; among equals who came first. A stream asks for one
    final or commit at a time, so no stream starves another. A display request is replaced by any newer
    request of its stream: what it would show is old.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[Kind, int, Request]] = []
        self._order = count()
        self._displays: dict[str, Request] = {}

    def add(self, request: Request) -> None:
        """Let ``request`` wait."""
        self._displays.pop(request.stream, None)
        if request.kind is Kind.DISPLAY:
            self._displays[request.stream] = request
        heapq.heappush(self._heap, (request.kind, next(self._order), request))

    def cancel(self, stream: str) -> None:
        """Drop what waits for ``stream``."""
        self._displays.pop(stream, None)
        self._heap = [entry for entry in self._heap if entry[2].stream != stream]
        heapq.heapify(self._heap)

    def pop(self) -> Request | None:
        """Return the request to answer now, or None if none waits."""
        while self._heap:
            kind, _, request = heapq.heappop(self._heap)
            if kind is not Kind.DISPLAY:
                return request
            if self._displays.get(request.stream) is request:
                del self._displays[request.stream]
                return request
        return None

"""How far a transcript is behind its audio."""

from __future__ import annotations

from collections import deque

from whisper_service.audio.pcm import SAMPLE_RATE


class LagMeter:
    """Knows when each sample could be transcribed at the earliest.

    That is when it arrived, and not before its time in a live stream that began with the first sample: a
    client that sends a file faster than it plays does not make the service late.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._received = 0
        self._arrivals: deque[tuple[int, float]] = deque()

    def arrived(self, received: int, now: float) -> None:
        """The samples up to ``received`` are here at the monotonic time ``now``; told slice by slice."""
        if self._began is None:
            self._began = now - received / SAMPLE_RATE
        self._received = received
        self._arrivals.append((received, now))

    def behind_s(self, settled: int, now: float) -> float:
        """Return for how many seconds the sample at ``settled`` has been due; 0.0 if nothing waits."""
        while self._arrivals and self._arrivals[0][0] < settled:
            self._arrivals.popleft()
        if settled >= self._received or self._began is None or not self._arrivals:
            return 0.0
        due = max(self._arrivals[0][1], self._began + settled / SAMPLE_RATE)
        return max(0.0, now - due)

"""How fast an engine answers, measured while it works. It uses no thread and no torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

#: The share of the newest batch in the estimate of the speed.
_NEWEST = 0.1
#: The engine's load is that of so many seconds.
_SPAN_S = 10.0


class Pace:
    """Follows the batches of an engine.

    Batches have any size, and a request takes less time in a large one. So the speed is kept as one factor
    for all sizes: how much longer the batches take than those after loading.

    :param timings: how long batches of given sizes took after loading, in seconds; sizes ascend.
    """

    def __init__(self, timings: Sequence[tuple[int, float]]) -> None:
        self._timings = list(timings)
        self._slowness = 1.0
        self._jobs: deque[tuple[float, int]] = deque()

    def note(self, size: int, jobs: int, seconds: float, now: float) -> None:
        """Take note of a batch of ``size`` requests that took ``seconds``.

        :param jobs: how many of them were no requests for partials, which can be left out.
        """
        slowness = seconds / self._expected(size)
        self._slowness += _NEWEST * (slowness - self._slowness)
        self._jobs.append((now, jobs))

    @property
    def job_s(self) -> float:
        """The time that one request takes in the largest batch, in seconds."""
        size, seconds = self._timings[-1]
        return self._slowness * seconds / size

    def load(self, now: float) -> float:
        """Return the share of the last 10 s, 0…1 or more, that the jobs would have taken in large batches."""
        while self._jobs and self._jobs[0][0] < now - _SPAN_S:
            self._jobs.popleft()
        return sum(jobs for _, jobs in self._jobs) * self.job_s / _SPAN_S

    def _expected(self, size: int) -> float:
        """Return how long a batch of ``size`` requests would have taken after loading."""
        (low, first), (high, last) = self._timings[0], self._timings[-1]
        if high == low:
            return first * size / low
        return max(first / low, first + (last - first) * (size - low) / (high - low))

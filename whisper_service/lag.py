"""How far a transcript is behind its audio, and when to report that."""

from __future__ import annotations

from collections import deque

from whisper_service.audio.pcm import SAMPLE_RATE

#: In seconds. A lag above the first value is reported. It is over once it has stayed below the second value
#: for the time of the third.
_TOLD_S, _OVER_S, _OVER_FOR_S = 2.0, 1.0, 2.0
#: While a lag lasts, it is reported again at this interval, in seconds.
_REPEATED_S = 5.0
#: The arrivals of so many pieces are remembered: at least 30 s of sound.
_REMEMBERED = 256


class LagMeter:
    """Computes how late the transcript is.

    A sample is due when it arrives, or at its time in a live stream that began with the first sample, if that
    is later. So a client that sends a file faster than real time does not make the service late. A client
    that the server kept waiting would have sent in real time, so its audio after the wait is due in real
    time.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._received = 0
        self._due = 0.0  # the time at which the last sample was due
        # For each slice: the sample after the last one, the time of arrival (0.0 for a held client), and the
        # time at which the first sample of the stream was due by the clock of this slice.
        self._arrivals: deque[tuple[int, float, float]] = deque()

    def arrived(self, received: int, at: float, *, held: bool = False) -> None:
        """Record the arrival of a slice.

        :param received: number of samples of the stream up to the end of the slice.
        :param at: the monotonic time at which the server received the slice.
        :param held: whether the server kept the client waiting before this slice.
        """
        length_s = (received - self._received) / SAMPLE_RATE
        if self._began is None:
            self._began = at - length_s
        if held and self._arrivals:
            self._due += length_s
            self._arrivals.append((received, 0.0, self._due - received / SAMPLE_RATE))
        else:
            self._due = max(at, self._began + received / SAMPLE_RATE)
            self._arrivals.append((received, at, self._began))
        self._received = received

    def behind_s(self, settled: int, now: float) -> float:
        """Return for how many seconds position ``settled`` has been due; 0.0 if no audio waits."""
        while self._arrivals and self._arrivals[0][0] < settled:
            self._arrivals.popleft()
        if settled >= self._received or not self._arrivals:
            return 0.0
        _, at, began = self._arrivals[0]
        return max(0.0, now - max(at, began + settled / SAMPLE_RATE))


class Delays:
    """Knows when the newest samples have arrived."""

    def __init__(self) -> None:
        # The sample after the last one of each slice, and the time of its arrival.
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)

    def arrived(self, received: int, at: float) -> None:
        """Record the arrival of a slice; see ``LagMeter``."""
        self._arrivals.append((received, at))

    def of(self, position: int, now: float) -> float | None:
        """Return how long ago the sample before ``position`` has arrived; None if nobody remembers."""
        found = None
        for received, at in reversed(self._arrivals):
            if received < position:
                return found
            found = now - at
        complete = self._arrivals.maxlen != len(self._arrivals)
        return found if complete else None


class LagNotice:
    """Decides when the client is told that its transcript is late, and when that this is over."""

    def __init__(self) -> None:
        self._told_at: float | None = None
        self._low_since: float | None = None

    def update(self, behind_s: float, now: float) -> float | None:
        """Return the lag to report now, in seconds: 0.0 if the lag is over, None for no report."""
        if behind_s >= _OVER_S:
            self._low_since = None
        elif self._low_since is None:
            self._low_since = now
        if self._told_at is None:
            if behind_s <= _TOLD_S:
                return None
        elif self._low_since is not None:
            if now - self._low_since < _OVER_FOR_S:
                return None
            self._told_at = None
            return 0.0
        elif now - self._told_at < _REPEATED_S:
            return None
        self._told_at = now
        return behind_s

    @property
    def lasts(self) -> bool:
        """Whether a lag was reported that is not over yet."""
        return self._told_at is not None

    def end(self) -> bool:
        """End the lag, because no audio waits any more. Return whether the client has to be told."""
        told, self._told_at = self._told_at is not None, None
        return told

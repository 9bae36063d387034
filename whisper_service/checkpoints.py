"""What a client must know to lose nothing: where another stream could go on, and what is final."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from whisper_service.audio.clock import ClientClock
from whisper_service.errors import BadMessage
from whisper_service.events import Marked
from whisper_service.protocol.dialect import Checkpoint
from whisper_service.session.carry import Carry

#: A client that sends audio gets a checkpoint at least this often, in seconds of its audio.
_INTERVAL_S = 5
#: A client may wait for so many marks at once.
_MOST_MARKS = 1_000


class Checkpoints:
    """The checkpoints of one stream.

    :param first: the one at which the stream begins.
    :param clock: counts the client's samples.
    :param lead_in_start: returns the first sample that the speech detector needs for a frame.
    :param tell: tells the client of a checkpoint.
    """

    def __init__(
        self,
        first: Checkpoint,
        clock: ClientClock,
        *,
        lead_in_start: Callable[[int], int],
        tell: Callable[[Checkpoint], None],
    ) -> None:
        self._last = first
        self._clock = clock
        self._lead_in_start = lead_in_start
        self._tell = tell

    def add(self, carry: Carry) -> None:
        """Tell the client that another stream can go on from ``carry``."""
        needed = min(carry.audio_from, self._lead_in_start(carry.frame))
        origin = self._clock.origin_before(needed)
        self._last = replace(self._last, carry=carry, origin=origin, received=self._clock.received)
        self._tell(self._last)

    def repeat(self, after_s: float = _INTERVAL_S) -> None:
        """Tell the client of the last checkpoint again, after its first audio and every ``after_s`` of it."""
        clock, last = self._clock, self._last
        if not clock.rate:
            return  # no audio has come yet
        if last.origin.rate and clock.received - last.received < after_s * clock.rate:
            return
        origin = last.origin._replace(rate=last.origin.rate or clock.rate)
        self._last = replace(last, origin=origin, received=clock.received)
        self._tell(self._last)


class Marks:
    """The marks of a client that wait until everything before them is final.

    :param tell: tells the client of a mark.
    """

    def __init__(self, tell: Callable[[Marked], None]) -> None:
        self._tell = tell
        self._waiting: deque[tuple[int, str | int]] = deque()  # positions and names

    def add(self, position: int, name: str | int) -> None:
        """Add the mark ``name`` at ``position``, which is not before that of the last one.

        :raises BadMessage: if too many marks wait.
        """
        if len(self._waiting) >= _MOST_MARKS:
            raise BadMessage(f"{_MOST_MARKS} marks wait already; this one is not returned.")
        self._waiting.append((position, name))

    def give_back(self, final_until: int) -> None:
        """Tell the client of the marks up to sample ``final_until``."""
        while self._waiting and self._waiting[0][0] <= final_until:
            self._tell(Marked(self._waiting.popleft()[1]))

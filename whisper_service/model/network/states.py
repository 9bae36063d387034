"""The states of growing windows: which window has which slot of the memory, and what it has heard.

A state is a cache. It may be dropped at any time, because a request names the updates that made it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

#: A state whose memory is being changed. No window has a negative length.
_UNKNOWN = (-1,)


@dataclass(slots=True)
class State:
    """The state of one window.

    :param slot: its place in the memory.
    :param start: the window's first sample on the stream's clock.
    :param heard: the length of the window at each update that wrote to the slot, in samples.
    """

    slot: int
    start: int
    heard: tuple[int, ...] = ()

    def begin(self) -> tuple[int, ...]:
        """Take note that the slot is being changed; return the updates so far. ``heard`` is set afterwards.

        If the change fails, the state stays unknown, and the next request makes it anew.
        """
        heard, self.heard = self.heard, _UNKNOWN
        return heard


class States:
    """The newest window of each stream, in a fixed number of slots. The state used longest ago is dropped."""

    def __init__(self, slots: int) -> None:
        self._free = list(reversed(range(slots)))
        self._of: OrderedDict[str, State] = OrderedDict()

    def find(self, stream: str, start: int, lengths: Sequence[int]) -> tuple[State, int]:
        """Return the state of a window, and how many of ``lengths`` it has heard.

        :param lengths: the lengths of the window at the updates that the request asks for, in samples. If the
            state has heard anything else, it is made anew.
        """
        state = self._of.get(stream)
        if state is None:
            state = self._of[stream] = State(self._slot(), start)
        known = len(state.heard)
        if state.start != start or state.heard != tuple(lengths[:known]):
            state.start, state.heard, known = start, (), 0
        self._of.move_to_end(stream)
        return state, known

    def forget(self, stream: str) -> None:
        """Drop the state of ``stream``."""
        state = self._of.pop(stream, None)
        if state is not None:
            self._free.append(state.slot)

    def _slot(self) -> int:
        if not self._free:
            _, oldest = self._of.popitem(last=False)
            return oldest.slot
        return self._free.pop()

"""Where the positions that an update computes lie in the memory of the states.

Tensors of the memory have the dimensions ``(S, n_audio_ctx, …)``: one slot for each window, and in it one
entry for each position of the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Range(NamedTuple):
    """The positions ``[begin, end)`` of the window in ``slot``."""

    slot: int
    begin: int
    end: int


class Places(Protocol):
    """The positions of one update: ``n`` for each of ``B`` windows."""

    def write(self, memory: Tensor, values: Tensor) -> None:
        """Write ``values``, ``(B, n, …)``, to these positions of ``memory``, ``(S, n_audio_ctx, …)``."""

    def read(self, memory: Tensor) -> Tensor:
        """Return all positions of these windows, ``(B, n_audio_ctx, …)``. It may be a view."""


class OneWindow:
    """A range of one window. It is read and written without a copy."""

    def __init__(self, place: Range) -> None:
        self._place = place

    def write(self, memory: Tensor, values: Tensor) -> None:
        """See ``Places``."""
        memory[self._place.slot, self._place.begin : self._place.end].copy_(values[0])

    def read(self, memory: Tensor) -> Tensor:
        """See ``Places``."""
        return memory[self._place.slot : self._place.slot + 1]


class ManyWindows:
    """Ranges of several windows, for one kernel over all of them.

    Each range is padded to ``length`` positions. The padding is written to the same positions of ``spare``, a
    slot that belongs to no window.
    """

    def __init__(
        self, places: Sequence[Range], length: int, *, positions: int, spare: int, device: torch.device
    ):
        slots = torch.tensor([place.slot for place in places])
        begins = torch.tensor([place.begin for place in places])[:, None]
        ends = torch.tensor([place.end for place in places])[:, None]
        inside = begins + torch.arange(length)
        self._slots = slots.to(device)
        self._rows = torch.where(inside < ends, slots[:, None], spare).to(device)  # (B, n)
        self._positions = inside.clamp(max=positions - 1).to(device)  # (B, n)

    def write(self, memory: Tensor, values: Tensor) -> None:
        """See ``Places``."""
        memory.index_put_((self._rows, self._positions), values)

    def read(self, memory: Tensor) -> Tensor:
        """See ``Places``."""
        return memory.index_select(0, self._slots)

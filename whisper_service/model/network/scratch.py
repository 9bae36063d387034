"""Memory for the large tensors of one batch, kept and reused by the next batch.

glibc returns freed blocks of more than 32 MiB to the system at once. The next batch then pays for a page
fault at each of their pages, which on a virtual machine takes as long as some of the arithmetic: 18,000 page
faults for an update with ``base``. glibc keeps smaller blocks by itself.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor


class Scratch:
    """Named tensors. Each name has one block of memory, which grows to the largest tensor requested."""

    def __init__(self) -> None:
        self._blocks: dict[str, Tensor] = {}

    def tensor(self, name: str, shape: tuple[int, ...], *, like: Tensor) -> Tensor:
        """Return an uninitialized tensor with the dtype and on the device of ``like``.

        It may share its memory with earlier tensors of this name, which must not be used any more. All calls
        for a name use the same device.
        """
        size = prod(shape)
        block = self._blocks.get(name)
        if block is None or block.dtype is not like.dtype or block.numel() < size:
            self._blocks.pop(name, None)  # never hold the old and the new block at once
            block = self._blocks[name] = torch.empty(size, dtype=like.dtype, device=like.device)
        return block[:size].view(shape)

"""Memory for results that are needed for one batch, kept and used again.

glibc gives blocks of more than 32 MiB back to the system at once. The next batch then pays for each of their
pages again, which on a virtual machine takes as long as some of the arithmetic: 18,000 page faults for an
update with ``base``. Smaller blocks it keeps by itself.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor


class Scratch:
    """Tensors by name. Each name has one block of memory, which grows to the largest tensor asked for."""

    def __init__(self) -> None:
        self._blocks: dict[str, Tensor] = {}

    def tensor(self, name: str, shape: tuple[int, ...], *, like: Tensor) -> Tensor:
        """Return a tensor with any contents, of the type and on the device of ``like``.

        The tensor before of this name is used up.
        """
        size = prod(shape)
        block = self._blocks.get(name)
        if block is None or block.dtype is not like.dtype or block.numel() < size:
            self._blocks.pop(name, None)  # not both at once
            block = self._blocks[name] = torch.empty(size, dtype=like.dtype, device=like.device)
        return block[:size].view(shape)

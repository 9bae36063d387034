"""Keeps the memory of a process that answers requests of all sizes from growing.

oneDNN, torch's library for products on a CPU, keeps what it has compiled for each shape of a product, 1,024
shapes by default. Windows grow, and batches have any size, so there are always new shapes. With 16 streams
that took some hundred megabytes, and saved no time.

The tensors of a batch have other sizes than those of the batch before. glibc keeps what they leave, in pieces
that fit the next ones badly, so a process with many streams would grow for hours. ``malloc_trim`` gives back
every free page (``man malloc_trim``).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

#: The number of shapes for which oneDNN keeps its code.
_KEPT_SHAPES = 64
#: Time between two calls, in seconds. One takes some milliseconds.
_EVERY_S = 30.0


def bound_compiled_shapes() -> None:
    """Let oneDNN keep less. Call it before the first product; ``ONEDNN_PRIMITIVE_CACHE_CAPACITY`` wins."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KEPT_SHAPES))


class Trimmer:
    """Trims the heap now and then. It does nothing with other C libraries than glibc.

    :param trim: gives free memory back; by default ``malloc_trim``.
    """

    def __init__(self, trim: Callable[[], object] | None = None) -> None:
        self._trim = trim or _malloc_trim()
        self._next = 0.0

    def __call__(self, now: float) -> None:
        """Trim if it is time to. Blocks, without the interpreter's lock.

        :param now: the monotonic time, in seconds.
        """
        if now >= self._next:
            self._next = now + _EVERY_S
            self._trim()


def _malloc_trim() -> Callable[[], object]:
    try:
        function = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return lambda: None
    function.argtypes, function.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: function(0)

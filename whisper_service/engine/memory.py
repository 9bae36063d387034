"""Gives free memory back to the system.

The tensors of a batch have other sizes than those of the batch before. glibc keeps what they leave, in pieces
that fit the next ones badly, so a process with many streams would grow for hours. ``malloc_trim`` gives back
every free page (``man malloc_trim``).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

#: Time between two calls, in seconds. One takes some milliseconds.
_EVERY_S = 30.0


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

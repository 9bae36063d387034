"""Decisions that bytes make. So a fuzzer that changes bytes changes decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads decisions from ``data``. When it has been read, each decision is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        """Whether all of the data has been read."""
        return self._at >= len(self._data)

    def below(self, limit: int) -> int:
        """Return a number from 0 to ``limit`` - 1."""
        size = max(1, (max(1, limit - 1).bit_length() + 7) // 8)
        return int.from_bytes(self.some_bytes(size), "little") % limit

    def chance(self, share: float) -> bool:
        """Return True in about this share of the cases, and never when the data is over."""
        return not self.over and self.below(256) >= 256 * (1 - share)

    def one_of(self, things: Sequence[T]) -> T:
        """Return one of ``things``."""
        return things[self.below(len(things))]

    def some_bytes(self, count: int) -> bytes:
        """Return the next ``count`` bytes; fewer at the end of the data."""
        self._at += count
        return self._data[self._at - count : self._at]

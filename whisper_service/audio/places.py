"""Where in a container stream a demuxer can begin, if it does not begin at the beginning."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Place(NamedTuple):
    """Where a demuxer can begin.

    :param at: an index into the bytes that were searched.
    :param before: what has to stand before the bytes from there on, after the beginning of the stream.
    """

    at: int
    before: bytes = b""


class Places(Protocol):
    """Knows one format."""

    def first(self, data: bytearray, start: int) -> int:
        """Return where the beginning of the stream ends, at or after ``start``; -1 if it does not yet."""

    def find(self, data: bytearray, start: int) -> Place | None:
        """Return the first place at or after ``start`` where a demuxer can begin."""

    def forget(self, data: bytearray) -> None:
        """Note what is needed of bytes that are not kept any longer."""

    def is_index(self, data: bytearray, start: int) -> bool:
        """Return whether what begins about ``start`` ends a recording and is no sound."""

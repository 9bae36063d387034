"""The boxes of an MP4: whether its tables can be true.

FFmpeg reserves memory for as many samples as a table names. A file of 1,529 bytes that names a hundred
million took 2.8 GB. So every count is held against the bytes that could hold so many, before FFmpeg sees it.

Source: ISO/IEC 14496-12, sections 4.2 and 8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

from whisper_service.audio.places import Place
from whisper_service.errors import BadAudio


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


#: Boxes that hold boxes, on the way to the tables.
_HOLDERS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mvex", b"edts"))
#: Tables: where their count stands in the box, and how many bytes an entry has at least.
_TABLES = {
    b"stts": (4, 8),
    b"ctts": (4, 8),
    b"stsc": (4, 12),
    b"stco": (4, 4),
    b"co64": (4, 8),
    b"stss": (4, 4),
    b"stps": (4, 4),
    b"elst": (4, 12),
    b"keys": (4, 8),
}
#: Samples that a stream may name whose bytes have not come yet: 24 hours of AAC.
_MOST_AHEAD = 1 << 22
_MOST_BOXES = 10_000
_DEEPEST = 8
_LONGEST_INDEX_BYTES = 16 << 20


def boxes(data: bytes | bytearray | memoryview, *, start: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each box, and where its contents begin and end. The last may end after ``data``."""
    at = start
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if size == 1 and at + 16 <= len(data):
            size, begin = struct.unpack_from(">Q", data, at + 8)[0], at + 16
        if size < begin - at:  # 0: to the end of the file
            yield name, begin, len(data)
            return
        at += size
        yield name, begin, at


def check_tables(data: bytes | bytearray, *, whole_file: bool = True) -> None:
    """Check the tables of an MP4, or of one of its boxes.

    :param whole_file: ``data`` holds the samples as well.
    :raises BadAudio: if a table names more than there can be.
    """
    most = len(data) if whole_file else _MOST_AHEAD
    steps = 0

    def walk(part: memoryview, depth: int) -> None:
        nonlocal steps
        for name, begin, end in boxes(part):
            steps += 1
            if steps > _MOST_BOXES or depth > _DEEPEST:
                raise BadAudio("The MP4 has more boxes than any recorder writes.")
            contents = part[begin:end]
            if name in _HOLDERS:
                walk(contents, depth + 1)
            elif not _is_credible(name, contents, most):
                raise BadAudio(
                    f"The MP4 is broken: its table {name.decode('latin-1')} names more than there is."
                )

    walk(memoryview(data), 0)


def _is_credible(name: bytes, contents: memoryview, most: int) -> bool:
    """Return whether a table has room for what it names, and ``most`` samples suffice for it."""
    size = len(contents)

    def number(at: int) -> int:
        return int.from_bytes(contents[at : at + 4], "big")

    if name in _TABLES and size >= 8:
        at, entry_bytes = _TABLES[name]
        count = number(at)
        if count * entry_bytes > size - at - 4:
            return False
        # Here each entry says for how many samples in a row it is.
        return name not in (b"stts", b"ctts") or sum(number(8 + 8 * index) for index in range(count)) <= most
    if name == b"stsz" and size >= 12:
        sample_bytes, count = number(4), number(8)
        return count <= most and (count * sample_bytes <= most if sample_bytes else 4 * count <= size - 12)
    if name == b"stz2" and size >= 12:
        return contents[7] * number(8) <= 8 * (size - 12)
    if name == b"trun" and size >= 8:
        entry_bytes = 4 * (number(0) >> 8 & 0xF).bit_count()
        return number(4) * entry_bytes <= size - 8 and number(4) <= most
    return True


class BoxChecker:
    """Reads an MP4, and gives out the boxes that hold tables only after they were checked.

    A fragment may say at which byte of the file it begins, and that its samples lie behind that. In a stream
    of which a piece is lost it does not, so the place is put right.
    """

    def __init__(self, source: _Readable) -> None:
        self._source = source
        self._held = bytearray()
        self._pass = 0  # bytes of a box without tables
        self._ready = bytearray()
        self._given = 0  # bytes up to the end of ``_ready``
        #: Whether a table named more than there can be.
        self.refused = False

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, b"" at the end. May block.

        :raises BadAudio: if a table names more than there can be.
        """
        while not self._ready:
            data = self._source.read(-1)
            if not data:
                rest, self._held = bytes(self._held), bytearray()  # a box that was cut off
                return rest
            self._held += data
            try:
                self._sort()
            except BadAudio:
                self.refused = True
                raise
        count = len(self._ready) if size < 0 else size
        data = bytes(self._ready[:count])
        del self._ready[:count]
        return data

    def _sort(self) -> None:
        held, at = self._held, 0
        while at < len(held):
            if self._pass:
                count = min(self._pass, len(held) - at)
                self._give(held[at : at + count])
                self._pass -= count
                at += count
                continue
            if len(held) - at < 16:
                break
            size, name = int.from_bytes(held[at : at + 4], "big"), bytes(held[at + 4 : at + 8])
            if size == 1:
                size = int.from_bytes(held[at + 8 : at + 16], "big")
            if size < 8 or name not in (b"moov", b"moof"):
                self._pass = size if size >= 8 else 1 << 62  # 0: to the end of the file
                continue
            if size > _LONGEST_INDEX_BYTES:
                raise BadAudio("The MP4 has an index of more than 16 megabytes.")
            if len(held) - at < size:
                break
            box = held[at : at + size]
            check_tables(box, whole_file=False)
            if name == b"moof":
                _put_place(box, self._given)
            self._give(box)
            at += size
        del held[:at]

    def _give(self, data: bytearray) -> None:
        self._ready += data
        self._given += len(data)


def _put_place(fragment: bytearray, place: int) -> None:
    """Write into a moof at which byte it begins, in each tfhd that says so (``base_data_offset``)."""
    for name, begin, end in boxes(fragment, start=8):
        if name == b"traf":
            for inner, at, _ in boxes(fragment[:end], start=begin):
                if inner == b"tfhd" and fragment[at + 3] & 1 and at + 16 <= end:
                    fragment[at + 8 : at + 16] = place.to_bytes(8, "big")


class FragmentPlaces:
    """Where a demuxer can begin in a fragmented MP4; see ``places.Places``."""

    def first(self, data: bytearray, start: int) -> int:
        """Return where the first fragment begins."""
        return _find_fragment(data, start)

    def find(self, data: bytearray, start: int) -> Place | None:
        """Return the next fragment."""
        at = _find_fragment(data, start)
        return Place(at) if at >= 0 else None

    def forget(self, data: bytearray) -> None:
        """Nothing is needed of what is over."""

    def is_index(self, data: bytearray, start: int) -> bool:
        """Return whether the index of all fragments follows."""
        return data.find(b"mfra", start) >= 0


def _find_fragment(data: bytearray, start: int) -> int:
    """Return where a moof begins whose first box is its header, -1 if there is none."""
    at = data.find(b"moof", start + 4)
    while at >= 0 and data[at + 8 : at + 12] != b"mfhd":
        at = data.find(b"moof", at + 1)
    return at - 4 if at >= 0 else -1

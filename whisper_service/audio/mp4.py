"""Checks MP4 files and streams box by box.

FFmpeg allocates memory for as many samples as a table states. A file of 1,529 bytes that stated a hundred
million took 2.8 GB. So every count is compared with the bytes of its table before FFmpeg sees it. Boxes that
are not needed to decode the audio (titles, pictures, compressed tables) are passed on as free space.

Source: ISO/IEC 14496-12, sections 4.2 and 8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from whisper_service.audio.framing import Framer, Readable
from whisper_service.errors import BadAudio

_Data = bytes | bytearray | memoryview

#: Boxes that contain boxes.
_HOLDERS = frozenset(b"moov trak mdia minf dinf stbl edts mvex moof traf".split())
#: Boxes that are needed to decode the audio. All others are turned into free space.
_NEEDED = _HOLDERS | frozenset(
    b"mvhd tkhd mdhd hdlr smhd vmhd nmhd dref stsd elst trex mehd mfhd tfhd tfdt "
    b"stts ctts stsc stsz stz2 stco co64 stss trun".split()
)
#: Boxes that may be at the top level. Anything else there is damage.
_TOP = frozenset(
    b"ftyp styp moov moof mdat free skip wide sidx ssix emsg prft uuid pdin meta udta mfra imda pnot "
    b"junk".split()
)
#: The top-level boxes that FFmpeg gets. The others are turned into free space.
_GIVEN = frozenset(b"ftyp styp moov moof mdat".split())
#: Bytes of one entry, for the tables that begin with version, flags and a count.
_ENTRY_BYTES = {
    b"stts": 8,
    b"ctts": 8,
    b"stsc": 12,
    b"stco": 4,
    b"co64": 8,
    b"stss": 4,
    b"elst": 12,
}
#: Boxes that FFmpeg would also read inside a sample description (stsd), where they do not belong.
_MISPLACED = (
    b"trak",
    b"stbl",
    b"stsz",
    b"stz2",
    b"stts",
    b"ctts",
    b"stsc",
    b"trun",
    b"cmov",
    b"iinf",
    b"saiz",
)
#: Most samples that the index of a stream may state before their bytes arrive: 6 hours of AAC. Most samples
#: of a fragment: 38 minutes.
_MOST_AHEAD, _MOST_OF_FRAGMENT = 1 << 20, 100_000
#: FFmpeg makes only one index entry for 1,024 samples if their length and duration are constant.
_PCM_SHARE = 1024
_MOST_BOXES = 10_000
_DEEPEST = 8
_LONGEST_INDEX_BYTES = 16 << 20
_LONGEST_DESCRIPTION_BYTES = 1 << 16


def boxes(data: _Data, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield each box: its name, its position, the position of its contents, and the position after its end.

    The last box may end after ``end``.
    """
    at, end = start, len(data) if end is None else end
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if size == 1 and at + 16 <= end:
            size, begin = struct.unpack_from(">Q", data, at + 8)[0], at + 16
        if size < begin - at:  # a size of 0 means: to the end of the file
            yield name, at, begin, end
            return
        yield name, at, begin, at + size
        at += size


def checked_file(data: bytes) -> bytes:
    """Return a copy of a whole MP4 in which the boxes that are not needed are free space.

    :raises BadAudio: if a table states more than there can be, or the boxes do not fit into each other.
    """
    copy = bytearray(data)
    for name, at, _, end in boxes(copy):
        if name in (b"moov", b"moof"):
            _check(copy, at, min(end, len(copy)), limit=len(copy))
        elif name not in _GIVEN:
            copy[at + 4 : at + 8] = b"free"
    return bytes(copy)


class BoxFramer(Framer):
    """Gives out the boxes of an MP4 stream whose index (moov) comes first."""

    def __init__(self, source: Readable) -> None:
        super().__init__(source)
        self._pass = 0  # bytes of the current box that are still to be given out as they arrive
        self._described = self._fragmented = False

    def take(self) -> bool:
        """Take one box, or as much of it as has arrived; return whether there was any, or damage."""
        held = self.held
        if self._pass:
            count = min(self._pass, len(held))
            self._pass -= count
            self.give(count)
            return True
        if len(held) < 16:
            return False
        name, _, begin, size = next(boxes(held))
        endless = held[:4] == b"\0\0\0\0"
        if name not in _TOP or (not endless and size < 8):
            return self._lose()
        if name in (b"moov", b"moof"):
            return self._take_index(name, size)
        self._pass = 1 << 62 if endless else size
        if name not in _GIVEN:
            self.give_instead(8, held[:4] + b"free")
            self._pass -= 8
        return True

    def _take_index(self, name: bytes, size: int) -> bool:
        held = self.held
        if size > _LONGEST_INDEX_BYTES:
            if name == b"moov":
                raise BadAudio("The MP4 has an index of more than 16 megabytes.")
            return self._lose()
        if len(held) < size + 8 * (name == b"moof"):
            return False
        # If a piece of a moof is lost, no box begins where the moof should end. In an intact stream, the box
        # with its samples begins there.
        if name == b"moof" and bytes(held[size + 4 : size + 8]) not in _TOP:
            return self._lose()
        box = self.held[:size]
        if name == b"moov":
            _check(box, 0, size, limit=_MOST_AHEAD)
            self._described = True
            self._fragmented |= b"mvex" in box
        elif not self._described:
            raise BadAudio("The MP4 has no index (moov) before its first fragment: its beginning is missing.")
        else:
            self._fragmented = True
            try:
                _check(box, 0, size, limit=_MOST_OF_FRAGMENT)
            except BadAudio:
                return self._lose()
            _put_place(box, self.given)
        self.give_instead(size, box)
        return True

    def _lose(self) -> bool:
        if not self._fragmented:
            if not self._described:
                raise BadAudio("The MP4 is damaged before its index (moov), which says how it is coded.")
            self._pass = 1 << 62  # all that follows may be samples, without a position to start again at
            return True
        self.lost = True
        self.drop(8)
        return True

    def search(self) -> bool:
        """Drop the bytes before the next fragment; return whether there is one.

        A fragment begins with a moof whose first box is mfhd.
        """
        held = self.held
        at = held.find(b"moof", 4)
        while at >= 0 and len(held) >= at + 12 and held[at + 8 : at + 12] != b"mfhd":
            at = held.find(b"moof", at + 1)
        if at < 0:
            self.drop(max(0, len(held) - 8))
            return False
        self.drop(at - 4)
        self.lost = len(self.held) < 16
        return not self.lost


def _put_place(fragment: bytearray, place: int) -> None:
    """Write the position of a moof into each of its tfhd boxes that states it (``base_data_offset``).

    FFmpeg's own muxer writes this position. It changes if a piece of the stream is lost.

    :param place: position of the moof in the stream that FFmpeg gets.
    """
    for name, _, begin, end in boxes(fragment, 8):
        if name == b"traf":
            for inner, _, at, stop in boxes(fragment, begin, end):
                if inner == b"tfhd" and stop - at >= 16 and fragment[at + 3] & 1:
                    fragment[at + 8 : at + 16] = place.to_bytes(8, "big")


def _check(data: bytearray, start: int, end: int, *, limit: int) -> None:
    """Check a moov or moof, and turn the boxes in it that are not needed into free space.

    :param limit: largest number of samples that is accepted.
    :raises BadAudio: if a table states more than there can be, or the boxes do not fit into each other.
    """
    index = _Index(data)
    _, _, begin, _ = next(boxes(data, start, end))
    index.walk(begin, end)
    if index.samples > limit:
        raise _too_many(b"stsz" if data[start + 4 : start + 8] == b"moov" else b"trun")


class _Index:
    """The boxes of one moov or moof."""

    def __init__(self, data: bytearray) -> None:
        self._data = data
        self._steps = 0
        self.samples = 0

    def walk(self, start: int, end: int, depth: int = 1) -> None:
        """Check the boxes in ``[start, end)``."""
        tables: dict[bytes, tuple[int, int]] = {}
        last = start
        for name, at, begin, last in boxes(self._data, start, end):
            self._steps += 1
            if self._steps > _MOST_BOXES or depth > _DEEPEST:
                raise BadAudio("The MP4 has more boxes in its index than any recorder writes.")
            if last > end:
                raise BadAudio("The MP4 is broken: a box is longer than the one that it lies in.")
            if name in _HOLDERS:
                self.walk(begin, last, depth + 1)
            elif name in _NEEDED:
                self._take(name, begin, last)
                tables[name] = begin, last
            else:
                self._data[at + 4 : at + 8] = b"free"
        if end - last >= 8:
            raise BadAudio("The MP4 is broken: its boxes do not fit into each other.")
        if b"stsz" in tables or b"stz2" in tables:
            self.samples += _samples(self._data, tables)

    def _take(self, name: bytes, begin: int, end: int) -> None:
        if not _has_room(self._data, name, begin, end):
            raise _too_many(name)
        if name == b"trun":
            self.samples += _number(self._data, begin + 4)


def _has_room(data: bytearray, name: bytes, begin: int, end: int) -> bool:
    """Return whether a table has room for the entries that it states.

    For a sample description (stsd): whether it is short enough and contains no misplaced boxes.
    """
    size = end - begin
    if name == b"stsd":
        inside = data[begin:end]
        return size <= _LONGEST_DESCRIPTION_BYTES and not any(other in inside for other in _MISPLACED)
    if name in _ENTRY_BYTES:
        return size >= 8 and _number(data, begin + 4) * _ENTRY_BYTES[name] <= size - 8
    if name == b"stsz":
        return size >= 12 and bool(_number(data, begin + 4) or 4 * _number(data, begin + 8) <= size - 12)
    if name == b"stz2":
        return size >= 12 and data[begin + 7] * _number(data, begin + 8) <= 8 * (size - 12)
    if name == b"trun":
        entry_bytes = 4 * (_number(data, begin) >> 8 & 0xF).bit_count() if size >= 8 else 0
        return size >= 8 and _number(data, begin + 4) * entry_bytes <= size - 8
    return True


def _samples(data: bytearray, tables: dict[bytes, tuple[int, int]]) -> int:
    """Return the number of index entries that FFmpeg will make for the samples of a track.

    :raises BadAudio: if the tables of the track disagree about the number of samples.
    """
    count = _number(data, tables.get(b"stsz", tables.get(b"stz2", (0, 0)))[0] + 8)
    for name in (b"stts", b"ctts"):
        entries = list(_entries(data, tables, name))
        if sum(entry[0] for entry in entries) > count + 1:
            raise _too_many(name)
    chunks = max(_number(data, tables[name][0] + 4) if name in tables else 0 for name in (b"stco", b"co64"))
    runs = list(_entries(data, tables, b"stsc"))
    ends = [*(run[0] for run in runs[1:]), chunks + 1]  # the chunk after the last one of each run
    in_chunks = sum(max(0, end - run[0]) * run[1] for run, end in zip(runs, ends, strict=False))
    if in_chunks > 2 * count + 4096:
        raise _too_many(b"stsc")
    times = list(_entries(data, tables, b"stts"))
    constant = b"stsz" in tables and _number(data, tables[b"stsz"][0] + 4) > 0
    return count // _PCM_SHARE if constant and len(times) == 1 and times[0][1] == 1 else count


def _entries(data: bytearray, tables: dict[bytes, tuple[int, int]], name: bytes) -> Iterator[tuple[int, ...]]:
    if name in tables:
        begin, _ = tables[name]
        form = ">" + "I" * (_ENTRY_BYTES[name] // 4)
        for index in range(_number(data, begin + 4)):
            yield struct.unpack_from(form, data, begin + 8 + index * _ENTRY_BYTES[name])


def _number(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _too_many(name: bytes) -> BadAudio:
    return BadAudio(f"The MP4 is broken: its table {name.decode('latin-1')} names more than there is.")

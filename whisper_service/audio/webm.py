"""Framer for WebM streams, which reads them element by element.

Source: RFC 8794 (EBML), section 6, and RFC 9559 (Matroska), sections 5.1 and 10.
"""

from __future__ import annotations

import re

from whisper_service.audio.framing import Framer, Readable
from whisper_service.errors import BadAudio

_HEADER = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_INFO, _TRACKS = b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b"
_CLUSTER = b"\x1f\x43\xb6\x75"
_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP = b"\xe7", b"\xa3", b"\xa0"
#: Elements that describe how the stream is coded. They are given out whole.
_DESCRIPTIONS = (_HEADER, _INFO, _TRACKS)
#: Elements that are not needed: seek head, cues, tags, chapters, attachments, silent tracks, void, checksums,
#: and sizes and positions of clusters.
_NEEDLESS = (
    b"\x11\x4d\x9b\x74",
    b"\x1c\x53\xbb\x6b",
    b"\x12\x54\xc3\x67",
    b"\x10\x43\xa7\x70",
    b"\x19\x41\xa4\x69",
    b"\x58\x54",
    b"\xec",
    b"\xbf",
    b"\xab",
    b"\xa7",
    b"\xaf",
)
#: Limit for an unneeded element with a short name: damage may look like one with a name of one byte and a
#: length of terabytes.
_LONGEST_SHORT_BYTES = 1 << 16
_LONGEST_DESCRIPTION_BYTES = 1 << 20
#: Limit for a block. A frame of video may be this long.
_LONGEST_BLOCK_BYTES = 16 << 20
#: After damage, a block is accepted only if another block follows it. Limit for the first of the two.
_LONGEST_AUDIO_BLOCK_BYTES = 8192
_LONGEST_HEAD_BYTES = 12
#: Elements at which a demuxer can go on after damage.
_PLACES = re.compile(re.escape(_CLUSTER) + b"|" + re.escape(_SIMPLE_BLOCK))
_UNKNOWN_LENGTH = b"\x01\xff\xff\xff\xff\xff\xff\xff"


class WebmFramer(Framer):
    """Gives out the descriptions, the clusters and their blocks.

    The lengths of the segment and of the clusters are written as unknown, since some of their bytes may be
    missing.
    """

    def __init__(self, source: Readable) -> None:
        super().__init__(source)
        self._skipping = 0
        self._described = False

    def take(self) -> bool:
        """Take one element; return whether there was a complete one, or damage."""
        held = self.held
        if self._skipping:
            count = min(self._skipping, len(held))
            self._skipping -= count
            self.skip(count)
            return True
        width = 9 - held[0].bit_length() if held[0] >= 0x10 else 0
        if not width:
            return self._lose()
        name = bytes(held[:width])
        length, begin = _length(held, width)
        if begin < 0:  # its header is incomplete or broken
            return len(held) >= _LONGEST_HEAD_BYTES and self._lose()
        if name in (_SEGMENT, _CLUSTER):
            if name == _CLUSTER and not self._described:
                raise BadAudio("The WebM has no tracks before its first cluster: its beginning is missing.")
            self.give_instead(begin, name + _UNKNOWN_LENGTH)
            return True
        longest = {
            _SIMPLE_BLOCK: _LONGEST_BLOCK_BYTES,
            _BLOCK_GROUP: _LONGEST_BLOCK_BYTES,
            _TIMESTAMP: 8,
            **dict.fromkeys(_DESCRIPTIONS, _LONGEST_DESCRIPTION_BYTES),
        }.get(name)
        if longest is None:
            if name not in _NEEDLESS or length is None or (len(name) < 4 and length > _LONGEST_SHORT_BYTES):
                return self._lose()
            self.skip(begin)
            self._skipping = length
            return True
        if length is None or length > longest:
            return self._lose()
        if len(held) < begin + length:
            return False
        self._described |= name == _TRACKS
        self.give(begin + length)
        return True

    def _lose(self) -> bool:
        if not self._described:
            raise BadAudio("The WebM is damaged in its beginning, which says how it is coded.")
        self.lost = True
        self.drop(1)
        return True

    def search(self) -> bool:
        """Drop the bytes before the next cluster or block; return whether there is one."""
        count, found = _next_place(self.held)
        self.drop(count)
        self.lost = not found
        return found


def _next_place(data: bytearray) -> tuple[int, bool]:
    """Return how many bytes are before the next position to go on at, and whether the position is certain."""
    for match in _PLACES.finditer(data):
        at = match.start()
        found = _is_cluster(data, at) if match[0] == _CLUSTER else _are_two_blocks(data, at)
        if found is not False:
            return at, bool(found)  # None: more bytes are needed to tell
    return max(0, len(data) - len(_CLUSTER) + 1), False


def _length(data: bytearray, at: int) -> tuple[int | None, int]:
    """Return the length of an element, stated at ``at`` (None: unknown), and the position of its contents.

    The position is -1 if the bytes of the length are incomplete or invalid.
    """
    width = 9 - data[at].bit_length() if at < len(data) else 9
    if width > 8 or at + width > len(data):
        return 0, -1
    most = (1 << 7 * width) - 1
    value = int.from_bytes(data[at : at + width], "big") & most
    return None if value == most else value, at + width


def _is_cluster(data: bytearray, at: int) -> bool | None:
    """Return whether a cluster begins at ``at``, or None if more bytes are needed to tell.

    The first element of a cluster is its timestamp.
    """
    _, begin = _length(data, at + len(_CLUSTER))
    if begin < 0 or begin >= len(data):
        return None if len(data) - at < _LONGEST_HEAD_BYTES + 1 else False
    return data[begin : begin + 1] == _TIMESTAMP


def _are_two_blocks(data: bytearray, at: int) -> bool | None:
    """Return whether two consecutive blocks of one track begin at ``at``, or None if more bytes are needed.

    A single match may be chance.
    """
    length, begin = _length(data, at + 1)
    if begin < 0:
        return None if len(data) - at < _LONGEST_HEAD_BYTES else False
    if length is None or not 4 < length <= _LONGEST_AUDIO_BLOCK_BYTES:
        return False
    following = begin + length
    if following >= len(data):
        return None
    if data[following : following + 1] != _SIMPLE_BLOCK:
        return False
    _, second = _length(data, following + 1)
    if second < 0 or second >= len(data):
        return None if len(data) - following < _LONGEST_HEAD_BYTES else False
    return data[begin] == data[second] and bool(data[begin] & 0x80)

"""Where a demuxer can begin in a WebM: at a cluster, or at a block within one.

Source: RFC 8794 (EBML) and RFC 9559 (Matroska), sections 5.1.3 and 10.
"""

from __future__ import annotations

from whisper_service.audio.places import Place

_CLUSTER = b"\x1f\x43\xb6\x75"
_TIMESTAMP = 0xE7
_SIMPLE_BLOCK = 0xA3
#: What may follow a block: the next one, a group with one, the next cluster.
_AFTER_BLOCK = (0xA3, 0xA0, 0x1F)
#: Cues, tags and attachments: what a recording that is over ends with.
_INDEX = (b"\x1c\x53\xbb\x6b", b"\x12\x54\xc3\x67", b"\x19\x41\xa4\x69")
_LONGEST_BLOCK_BYTES = 1 << 16
_UNKNOWN_LENGTH = b"\x01\xff\xff\xff\xff\xff\xff\xff"


class WebmPlaces:
    """See ``places.Places``."""

    def __init__(self) -> None:
        self._timestamp = b""  # of the last cluster that is not kept any longer, as an element

    def first(self, data: bytearray, start: int) -> int:
        """Return where the first cluster begins."""
        return _find_cluster(data, start)

    def find(self, data: bytearray, start: int) -> Place | None:
        """Return the next cluster, or the next block, which gets the head of its cluster put before it."""
        cluster, block = _find_cluster(data, start), _find_block(data, start)
        if block >= 0 and (cluster < 0 or block < cluster):
            timestamp = _last_timestamp(data, block) or self._timestamp
            if timestamp:
                return Place(block, _CLUSTER + _UNKNOWN_LENGTH + timestamp)
        return Place(cluster) if cluster >= 0 else None

    def forget(self, data: bytearray) -> None:
        """Keep the time of the last cluster."""
        self._timestamp = _last_timestamp(data, len(data)) or self._timestamp

    def is_index(self, data: bytearray, start: int) -> bool:
        """Return whether cues or tags follow."""
        return any(data.find(name, start) >= 0 for name in _INDEX)


def _length(data: bytearray, at: int) -> tuple[int, int]:
    """Return the length that an element names at ``at``, -1 if none is here, and where its contents begin."""
    width = 9 - data[at].bit_length() if at < len(data) else 9
    if width > 8 or at + width > len(data):
        return -1, at
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    return value, at + width


def _timestamp_of(data: bytearray, cluster: int) -> bytes:
    """Return the time of a cluster as an element, b"" if there is none."""
    length, begin = _length(data, cluster + 4)
    if length < 0 or begin >= len(data) or data[begin] != _TIMESTAMP:
        return b""
    size, contents = _length(data, begin + 1)
    if not 0 <= size <= 8 or contents + size > len(data):
        return b""
    return bytes(data[begin : contents + size])


def _find_cluster(data: bytearray, start: int) -> int:
    at = data.find(_CLUSTER, start)
    while at >= 0 and not _timestamp_of(data, at):
        at = data.find(_CLUSTER, at + 1)
    return at


def _last_timestamp(data: bytearray, end: int) -> bytes:
    at = data.rfind(_CLUSTER, 0, end)
    while at >= 0:
        timestamp = _timestamp_of(data, at)
        if timestamp:
            return timestamp
        at = data.rfind(_CLUSTER, 0, at)
    return b""


def _find_block(data: bytearray, start: int) -> int:
    """Return where two blocks of one track follow each other: one alone might be chance."""
    at = data.find(_SIMPLE_BLOCK, start)
    while at >= 0:
        following = _block_end(data, at)
        if following >= 0 and data[following] == _SIMPLE_BLOCK:
            end = _block_end(data, following)
            if end >= 0 and _track(data, at) == _track(data, following):
                return at
        at = data.find(_SIMPLE_BLOCK, at + 1)
    return -1


def _block_end(data: bytearray, at: int) -> int:
    """Return where the block at ``at`` ends if something that may follow it is there, else -1."""
    length, begin = _length(data, at + 1)
    if not 4 < length <= _LONGEST_BLOCK_BYTES or begin + length >= len(data) or not data[begin] & 0x80:
        return -1
    return begin + length if data[begin + length] in _AFTER_BLOCK else -1


def _track(data: bytearray, at: int) -> int:
    return data[_length(data, at + 1)[1]]

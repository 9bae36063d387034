"""Recognises the format of a client's audio from its first bytes."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from whisper_service.audio.mp4 import boxes
from whisper_service.audio.wav import is_wav


class Kind(enum.Enum):
    """How bytes can be decoded."""

    #: A whole WAV, or its beginning.
    WAV = enum.auto()
    #: A container that can be decoded while its bytes arrive.
    STREAM = enum.auto()
    #: A whole file in one message, in a format that cannot be decoded while its bytes arrive.
    FILE = enum.auto()
    #: An incomplete MP4 whose index comes last.
    INDEX_LAST = enum.auto()
    #: Too few bytes to recognise the format.
    MORE = enum.auto()
    #: No format that is accepted.
    UNKNOWN = enum.auto()


@dataclass(frozen=True, slots=True)
class Recognised:
    """A kind and, for streams and files, FFmpeg's name of the format."""

    kind: Kind
    name: str = ""


_STREAMS = (
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"ID3", "mp3"),
)
_FILES = (
    (0, b"#!AMR", "amr"),
    (0, b"caff", "caf"),
    (0, b".snd", "au"),
    (0, b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "w64"),
)
#: A message with fewer bytes than this may be too short to recognise its format.
_TELLING_BYTES = 12
#: Limit for the metadata of an MP4 before its samples.
_LONGEST_HEADER_BYTES = 1 << 20
#: Limit for the top-level boxes that are read. An MP4 has a handful before its samples or its index.
_MOST_BOXES = 64
_OGG_FIRST_PAGE = 2


def recognise(data: bytes | bytearray) -> Recognised:
    """Return the format that ``data`` begins with. Takes constant time.

    MP3 and AAC have no signature, only a sync word of 11 or 12 bits. Raw samples contain it by chance (-1
    does). So these formats are recognised only if a second frame, or the end of ``data``, follows the first.

    :param data: all bytes received so far of a new stream or file.
    """
    if is_wav(data):
        return Recognised(Kind.WAV)
    for known, kind in ((_STREAMS, Kind.STREAM), (_FILES, Kind.FILE)):
        for offset, magic, name in known:
            if data[offset : offset + len(magic)] == magic:
                return Recognised(kind, name)
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return Recognised(Kind.FILE, "aiff")
    if data[4:8] == b"ftyp":
        return _recognise_mp4(data)
    for frame_bytes, kind, name in (
        (mp3_frame_bytes, Kind.STREAM, "mp3"),
        (_adts_frame_bytes, Kind.FILE, "aac"),
    ):
        size = frame_bytes(data[:8])
        if size and size + 8 > len(data) != size:
            return Recognised(Kind.MORE)
        if size and (size == len(data) or frame_bytes(data[size : size + 8])):
            return Recognised(kind, name)
    return Recognised(Kind.MORE if _may_begin_a_stream(data) else Kind.UNKNOWN)


def begins_anew(data: bytes) -> bool:
    """Return whether a message within an open stream begins a new container or a WAV."""
    if data[:4] == b"OggS":
        return len(data) > 5 and bool(data[5] & _OGG_FIRST_PAGE)
    return (
        is_wav(data) or data[:4] in (b"fLaC", b"\x1a\x45\xdf\xa3") or (data[4:8] == b"ftyp" and len(data) > 8)
    )


def _may_begin_a_stream(data: bytes | bytearray) -> bool:
    if len(data) >= _TELLING_BYTES or not data:
        return False
    magics = (b"RIFF", b"RF64", b"BW64", *(magic for _, magic, _ in (*_STREAMS, *_FILES)))
    beginning = any(magic.startswith(data[: len(magic)]) for magic in magics)
    mp4 = len(data) < 8 and b"ftyp".startswith(data[4:8]) and b"\0\0\0".startswith(data[:3])
    return beginning or mp4 or (data[0] == 0xFF and len(data) < 8 and data[1:2] >= b"\xe0"[: len(data) - 1])


# --- MP4


def _recognise_mp4(data: bytes | bytearray) -> Recognised:
    """Return how an MP4 can be decoded: while it arrives only if its index comes before the samples.

    Source: ISO/IEC 14496-12, section 4.2.
    """
    samples_came = index_came = False
    for number, (name, _, _, end) in enumerate(boxes(data)):
        if number == _MOST_BOXES:
            return Recognised(Kind.UNKNOWN)
        if name == b"moov" and not samples_came:
            return Recognised(Kind.STREAM, "mov")
        samples_came |= name == b"mdat"
        index_came |= name == b"moov"
        if end == len(data) and index_came:
            return Recognised(Kind.FILE, "mov")
    if samples_came:
        return Recognised(Kind.INDEX_LAST)
    return Recognised(Kind.MORE if len(data) <= _LONGEST_HEADER_BYTES else Kind.UNKNOWN)


# --- MP3 and AAC

_MPEG_1 = 3
_MPEG_1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_MPEG_2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
#: Rates in Hz by the version in the header: MPEG 2.5, reserved, MPEG 2, MPEG 1.
_MPEG_RATES = (
    (11_025, 12_000, 8_000, 0),
    (0, 0, 0, 0),
    (22_050, 24_000, 16_000, 0),
    (44_100, 48_000, 32_000, 0),
)


def mp3_frame_bytes(header: bytes | bytearray) -> int:
    """Return the length in bytes of the MPEG layer III frame that begins with ``header``, or 0 if none does.

    Source: ISO/IEC 11172-3, section 2.4.2.3, and 13818-3.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version = header[1] >> 3 & 3
    kbps = (_MPEG_1_KBPS if version == _MPEG_1 else _MPEG_2_KBPS)[header[2] >> 4]
    rate = _MPEG_RATES[version][header[2] >> 2 & 3]
    if not kbps or not rate:
        return 0
    frame_samples = 1152 if version == _MPEG_1 else 576
    return frame_samples * kbps * 125 // rate + (header[2] >> 1 & 1)


def _adts_frame_bytes(header: bytes | bytearray) -> int:
    """Return the length in bytes of the AAC frame that begins with ``header``, or 0 if none does.

    Source: ISO/IEC 14496-3, section 1.A.2.2.
    """
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size > 7 else 0

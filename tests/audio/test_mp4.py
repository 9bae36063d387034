"""Tables of an MP4 that name more than there is, and boxes without an end."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from tests.servers import resident_bytes
from whisper_service.audio.mp4 import BoxChecker, boxes, check_tables
from whisper_service.audio.recognise import Kind, recognise
from whisper_service.audio.slices import SliceReader
from whisper_service.audio.stream import ContainerThreads
from whisper_service.errors import BadAudio, UnsupportedAudio

CLIPS = Path(__file__).resolve().parents[1] / "data" / "containers"
M4A = (CLIPS / "jfk_aac.m4a").read_bytes()


def _box(name: bytes, contents: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(contents), name) + contents


def _with(name: bytes, contents: bytes) -> bytes:
    """Return an MP4 whose only table is this one."""
    tables = _box(b"stbl", _box(name, contents))
    return _box(b"ftyp", b"M4A \0\0\0\0") + _box(b"moov", _box(b"trak", _box(b"mdia", _box(b"minf", tables))))


def _read(messages: list[bytes]) -> None:
    reader = SliceReader(declared=None, undeclared=None, containers=ContainerThreads(2))
    for message in messages:
        list(reader.read(message))
    list(reader.finish())


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        (b"stsz", struct.pack(">III", 0, 1, 100_000_000)),
        (b"stsz", struct.pack(">III", 0, 0, 100_000_000)),
        (b"stz2", struct.pack(">III", 0, 8, 100_000_000)),
        (b"stts", struct.pack(">IIII", 0, 1, 100_000_000, 1)),
        (b"ctts", struct.pack(">IIII", 0, 1, 100_000_000, 1)),
        (b"stsc", struct.pack(">II", 0, 100_000_000)),
        (b"stco", struct.pack(">II", 0, 100_000_000)),
        (b"trun", struct.pack(">II", 0, 100_000_000)),
        (b"trun", struct.pack(">II", 0x200, 1_000)),
    ],
)
def test_a_table_that_names_more_than_there_is_is_refused(name: bytes, contents: bytes) -> None:
    with pytest.raises(BadAudio, match="names more than there is"):
        check_tables(_with(name, contents))


@pytest.mark.parametrize("name", ["jfk_aac.m4a", "jfk_aac_fragmented.mp4"])
def test_what_recorders_write_is_credible(name: str) -> None:
    check_tables((CLIPS / name).read_bytes())


@pytest.mark.parametrize("whole", [True, False])
def test_a_small_file_with_a_huge_count_costs_no_memory(whole: bool) -> None:
    import os

    at = M4A.index(b"stsz") + 8
    bomb = M4A[:at] + struct.pack(">II", 4, 100_000_000) + M4A[at + 8 :]
    moov = next(bomb[begin - 8 : end] for name, begin, end in boxes(bomb) if name == b"moov")
    # As a whole file, and as a stream whose index comes first.
    data = bomb if whole else bomb[:28] + moov + _box(b"mdat", bytes(1_000))
    before = resident_bytes(os.getpid())
    with pytest.raises(BadAudio):
        _read([data])
    assert resident_bytes(os.getpid()) - before < 50_000_000


def test_boxes_without_an_end_take_constant_time() -> None:
    many = _box(b"ftyp", b"M4A \0\0\0\0") + _box(b"free", b"") * 250_000
    began = time.process_time()
    assert recognise(many).kind is Kind.UNKNOWN
    with pytest.raises(UnsupportedAudio):
        _read([many])
    assert time.process_time() - began < 0.2


def test_a_fragment_is_told_where_it_begins() -> None:
    """FFmpeg's own muxer writes the place of a fragment, which is another one where a piece is lost."""

    class Source:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def read(self, size: int = -1) -> bytes:
            data, self.data = self.data[:1_000], self.data[1_000:]
            return data

    tfhd = _box(b"tfhd", struct.pack(">IIQ", 1, 1, 123_456))
    fragment = _box(b"moof", _box(b"mfhd", bytes(8)) + _box(b"traf", tfhd)) + _box(b"mdat", bytes(100))
    stream = BoxChecker(Source(_box(b"ftyp", bytes(8)) + fragment))
    out = b"".join(iter(lambda: stream.read(50), b""))
    assert len(out) == 16 + len(fragment)
    assert struct.unpack_from(">Q", out, out.index(b"tfhd") + 12) == (16,)

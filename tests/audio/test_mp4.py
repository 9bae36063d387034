"""MP4 files whose tables state more than there is, or whose boxes do not end."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from tests.audio.test_decode import encoded
from tests.servers import resident_bytes
from whisper_service.audio.decode import decode
from whisper_service.audio.mp4 import BoxFramer, boxes, checked_file
from whisper_service.audio.pcm import Gap
from whisper_service.audio.recognise import Kind, recognise
from whisper_service.audio.slices import SliceReader
from whisper_service.audio.stream import ContainerThreads
from whisper_service.errors import AudioError, BadAudio, UnsupportedAudio

CLIPS = Path(__file__).resolve().parents[1] / "data" / "containers"
M4A = (CLIPS / "jfk_aac.m4a").read_bytes()
FRAGMENTED = (CLIPS / "jfk_aac_fragmented.mp4").read_bytes()
HUGE = 100_000_000


def _box(name: bytes, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return struct.pack(">I4s", 8 + len(body), name) + body


def _moov(*tables: bytes) -> bytes:
    return _box(b"moov", _box(b"trak", _box(b"mdia", _box(b"minf", _box(b"stbl", *tables)))))


FTYP = _box(b"ftyp", b"M4A \0\0\0\0")


class Source:
    """A source that returns ``data`` in pieces of ``size`` bytes."""

    def __init__(self, data: bytes, size: int = 1_000) -> None:
        self.data = data
        self.size = size

    def read(self, size: int = -1) -> bytes:
        data, self.data = self.data[: self.size], self.data[self.size :]
        return data


def _read(messages: list[bytes]) -> float:
    """Return the seconds of audio that ``messages`` are decoded to."""
    reader = SliceReader(declared=None, undeclared=None, containers=ContainerThreads(2))
    items = [item for message in messages for item in reader.read(message)]
    items += reader.finish()
    return sum(item.shape[0] for item in items if not isinstance(item, Gap)) / 16_000


@pytest.mark.parametrize(
    "tables",
    [
        [_box(b"stsz", struct.pack(">III", 0, 1, HUGE))],
        [_box(b"stsz", struct.pack(">III", 0, 0, HUGE))],
        [_box(b"stz2", struct.pack(">III", 0, 8, HUGE))],
        [_box(b"stsz", struct.pack(">III", 0, 1, 9)), _box(b"stts", struct.pack(">IIII", 0, 1, HUGE, 7))],
        [_box(b"stsz", struct.pack(">III", 0, 1, 9)), _box(b"ctts", struct.pack(">IIII", 0, 1, HUGE, 1))],
        [_box(b"stsc", struct.pack(">II", 0, HUGE))],
        [_box(b"stco", struct.pack(">II", 0, HUGE))],
        [
            _box(b"stsz", struct.pack(">III", 0, 1, 9)),
            _box(b"stsc", struct.pack(">IIIII", 0, 1, 1, HUGE, 1)),
            _box(b"stco", struct.pack(">III", 0, 1, 0)),
        ],
        [_box(b"stsd", struct.pack(">II", 0, 1), _box(b"mp4a", bytes(28), _box(b"stsz", bytes(12))))],
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_table_that_names_more_than_there_is_is_refused(tables: list[bytes], whole: bool) -> None:
    data = FTYP + _moov(*tables) + _box(b"mdat", bytes(1_000))
    if whole:
        with pytest.raises(BadAudio, match="names more than there is"):
            checked_file(data)
    else:
        framer = BoxFramer(Source(data))
        while framer.read():
            pass
        assert framer.problem is not None and "names more than there is" in str(framer.problem)


@pytest.mark.parametrize("count", [1, 20])
def test_a_fragment_may_not_name_more_than_there_is(count: int) -> None:
    runs = [_box(b"trun", struct.pack(">II", 0, 4_000_000 // count)) for _ in range(count)]
    moof = _box(b"moof", _box(b"mfhd", bytes(8)), _box(b"traf", *runs))
    init = FRAGMENTED[: FRAGMENTED.index(b"moof") - 4]
    framer = BoxFramer(Source(init + moof + _box(b"mdat", bytes(1_000))))
    out = b"".join(iter(lambda: framer.read(300), b""))
    assert b"trun" not in out and framer.damaged


@pytest.mark.parametrize("name", [b"trak", b"cmov", b"iinf", b"udta"])
def test_what_nobody_needs_is_free_space(name: bytes) -> None:
    """Boxes that are not needed to decode the audio are turned into free space."""
    inside = FTYP + _box(b"moov", _box(name, bytes(100))) + _box(b"mdat", bytes(10))
    beside = FTYP + _box(name, bytes(100)) + M4A[28:]
    if name != b"trak":  # a trak belongs in the index: it is kept and checked there
        assert name not in checked_file(inside)
    assert checked_file(beside)[len(FTYP) + 4 : len(FTYP) + 8] == b"free"


@pytest.mark.parametrize("data", [M4A, FRAGMENTED])
def test_what_recorders_write_is_credible(data: bytes) -> None:
    assert len(checked_file(data)) == len(data)


@pytest.mark.parametrize("whole", [True, False])
def test_a_small_file_with_a_huge_count_costs_no_memory(whole: bool) -> None:
    at = M4A.index(b"stsz") + 8
    bomb = M4A[:at] + struct.pack(">II", 4, HUGE) + M4A[at + 8 :]
    moov = next(bomb[at:end] for name, at, _, end in boxes(bomb) if name == b"moov")
    # As a whole file, and as a stream whose index comes first.
    data = bomb if whole else bomb[:28] + moov + _box(b"mdat", bytes(1_000))
    before = resident_bytes(os.getpid())
    with pytest.raises(BadAudio):
        _read([data])
    assert resident_bytes(os.getpid()) - before < 50_000_000


def test_boxes_without_an_end_take_constant_time() -> None:
    many = FTYP + _box(b"free") * 250_000
    began = time.process_time()
    assert recognise(many).kind is Kind.UNKNOWN
    with pytest.raises(UnsupportedAudio):
        _read([many])
    assert time.process_time() - began < 0.2


def test_an_index_of_many_tracks_takes_linear_time() -> None:
    moof = _box(b"moof", _box(b"mfhd", bytes(8)), _box(b"free", bytes(8_000_000)), _box(b"traf") * 9_000)
    init = FRAGMENTED[: FRAGMENTED.index(b"moof") - 4]
    framer = BoxFramer(Source(init + moof + _box(b"mdat", bytes(16)), 1 << 16))
    began = time.process_time()
    while framer.read():
        pass
    assert time.process_time() - began < 1.0


def test_a_fragment_is_told_where_it_begins() -> None:
    """FFmpeg's own muxer writes the position of a fragment. It is corrected, because a loss changes it."""
    tfhd = _box(b"tfhd", struct.pack(">IIQ", 1, 1, 123_456))
    moof = _box(b"moof", _box(b"mfhd", bytes(8)), _box(b"traf", tfhd))
    data = FTYP + _moov() + moof + _box(b"mdat", bytes(100))
    framer = BoxFramer(Source(data))
    out = b"".join(iter(lambda: framer.read(50), b""))
    assert len(out) == len(data)
    assert struct.unpack_from(">Q", out, out.index(b"tfhd") + 12) == (out.index(b"moof") - 4,)


@pytest.mark.parametrize("size", [1, 50, 4_096, 32_768])
def test_never_more_is_given_out_than_was_asked_for(size: int) -> None:
    """FFmpeg copies the bytes it gets into a buffer of the size that it asked for."""
    moov = FRAGMENTED[FRAGMENTED.index(b"moov") - 4 : FRAGMENTED.index(b"moof") - 4]
    cut_off = FTYP + moov + struct.pack(">I4s", 0x7FFFFF, b"moof") + b"A" * 100_000
    for data in (cut_off, FRAGMENTED, M4A):
        framer = BoxFramer(Source(data, 1 << 16))
        while part := framer.read(size):
            assert len(part) <= size


def test_a_stream_that_is_cut_off_in_its_index_ends_in_an_error() -> None:
    moov = FRAGMENTED[: FRAGMENTED.index(b"moof") - 4]
    cut_off = moov + struct.pack(">I4s", 0x7FFFFF, b"moof") + b"A" * 100_000
    with pytest.raises(AudioError):
        _read([cut_off[start : start + 5_000] for start in range(0, len(cut_off), 5_000)])


def test_samples_of_constant_length_may_be_many() -> None:
    """FFmpeg makes only one index entry for 1,024 samples of constant length."""
    seconds = 200
    data = encoded("pcm_s16le", "mov", np.zeros((1, 48_000 * seconds), np.float32), 48_000)
    parts = {name: data[at:end] for name, at, _, end in boxes(data)}
    index_first = parts[b"ftyp"] + parts[b"moov"] + parts[b"mdat"]
    framer = BoxFramer(Source(index_first, 1 << 16))
    while framer.read():
        pass
    assert framer.problem is None
    assert decode(data).samples.shape[0] == 48_000 * seconds


def test_a_long_recording_has_many_fragments() -> None:
    init, first = FRAGMENTED.index(b"moof") - 4, FRAGMENTED.index(b"moof", FRAGMENTED.index(b"moof") + 4) - 4
    assert len(checked_file(FRAGMENTED[:init] + FRAGMENTED[init:first] * 2_000)) > 2_000

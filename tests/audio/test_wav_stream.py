"""One WAV in many messages: with an unknown length, chunks after its samples, or a header of any size."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np
import pytest

from tests.audio.test_decode import chunk, fmt, riff
from whisper_service.audio.pcm import Gap
from whisper_service.audio.slices import SliceReader
from whisper_service.audio.stream import ContainerThreads
from whisper_service.config import RawFormat
from whisper_service.errors import BadAudio, UnsupportedAudio

CASE = Path(__file__).resolve().parents[1] / "data" / "cases" / "streaming-wav-open-length"
S16 = RawFormat("s16le", 16_000, 1)


def _reader(undeclared: RawFormat | None = None, declared: RawFormat | None = None) -> SliceReader:
    return SliceReader(declared=declared, undeclared=undeclared, containers=ContainerThreads(2))


def _samples(reader: SliceReader, messages: list[bytes], *, finish: bool = True) -> int:
    items = [item for message in messages for item in reader.read(message)]
    items += reader.finish() if finish else []
    assert not [item for item in items if isinstance(item, Gap)]
    return sum(item.shape[0] for item in items)


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("undeclared", [None, S16])
@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_of_unknown_length_goes_on(size: int, undeclared: RawFormat | None) -> None:
    stereo = riff(fmt(channels=2, rate=48_000), chunk(b"data", bytes(range(256)) * 375 * 8, size))
    assert _samples(_reader(undeclared), _cut(stereo, 16_000)) == pytest.approx(4 * 16_000, abs=20)


def test_what_ffmpeg_pipes_is_heard() -> None:
    data = (CASE / "pipe_16k_mono.wav").read_bytes()
    assert _samples(_reader(S16), _cut(data, 16_000)) == pytest.approx(128_000, abs=20)


def test_another_header_ends_it() -> None:
    """A WAV of unknown length ends where another WAV begins."""
    first = riff(fmt(), chunk(b"data", bytes(3_200), 0xFFFFFFFF))
    second = riff(fmt(rate=8_000), chunk(b"data", bytes(1_600)))
    assert _samples(_reader(S16), [first, bytes(3_200), second]) == pytest.approx(
        1_600 + 1_600 + 1_600, abs=40
    )


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, None])
def test_titles_after_the_samples_are_no_sound(size: int | None) -> None:
    titles = chunk(b"LIST", b"INFOISFT\x0e\0\0\0Lavf61.1.100\0")
    data = chunk(b"data", bytes(32_000), size)
    assert _samples(_reader(S16), [riff(fmt(), data, titles)]) == 16_000


def test_titles_in_a_message_of_their_own_are_no_sound() -> None:
    titles = chunk(b"LIST", bytes(5_000))
    messages = [riff(fmt(), chunk(b"data", bytes(32_000))), titles[:3_000], titles[3_000:]]
    reader = _reader(S16)
    assert _samples(reader, messages, finish=False) == 16_000
    assert _samples(reader, [bytes(range(200)) * 16]) == 1_600  # the next message is not part of the titles


@pytest.mark.parametrize("cut", [1_000, 32_044, 32_045, 32_048, 32_052, 32_100, 33_000])
@pytest.mark.parametrize("undeclared", [None, S16])
def test_titles_may_be_cut_anywhere(cut: int, undeclared: RawFormat | None) -> None:
    titles = [chunk(b"LIST", bytes(range(200))), chunk(b"id3 ", bytes(2_999)), chunk(b"junk", bytes(77))]
    data = riff(fmt(), chunk(b"data", bytes(32_000)), *titles)
    assert _samples(_reader(undeclared), [data[:cut], data[cut:]]) == 16_000


def test_a_wav_is_no_more_open_once_it_is_whole() -> None:
    reader = _reader()
    assert _samples(reader, [riff(fmt(), chunk(b"data", bytes(32_000)))], finish=False) == 16_000
    with pytest.raises(UnsupportedAudio):
        list(reader.read(bytes(range(200))))


def test_a_header_in_single_bytes_takes_linear_time() -> None:
    header = riff(fmt(), chunk(b"junk", bytes(60_000)), chunk(b"data", b"", 4_000))
    began = time.process_time()
    assert _samples(_reader(), [*_cut(header, 1), bytes(4_000)]) == 2_000
    assert time.process_time() - began < 2.0


def test_a_header_without_an_end_is_refused() -> None:
    reader = _reader()
    messages = [riff(fmt(), struct.pack("<4sI", b"junk", 1 << 30)), *[bytes(100_000)] * 11]
    with pytest.raises(BadAudio, match="within its first megabyte"):
        _samples(reader, messages)


def test_chunks_are_counted() -> None:
    began = time.process_time()
    with pytest.raises(BadAudio, match="more than 1000 chunks"):
        _samples(_reader(), [riff(fmt(), *[chunk(b"junk", b"")] * 1_000_000)])
    assert time.process_time() - began < 0.5


def test_a_slow_wav_comes_in_pieces() -> None:
    """8 MB at 1 kHz are over an hour of audio. Each piece is decoded only when it is asked for."""
    data = riff(fmt(rate=1_000), chunk(b"data", bytes(8 << 20)))
    pieces = _reader().read(data)
    began = time.process_time()
    sizes = [next(pieces).shape[0] for _ in range(20)]  # type: ignore[union-attr]
    assert time.process_time() - began < 0.2
    assert max(sizes) <= 16_000 + 32


def test_flac_in_a_wav_comes_in_pieces() -> None:
    import io

    import av

    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000 * 60), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48_000
        resampler = av.AudioResampler("s16", "mono", 48_000, stream.codec_context.frame_size)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(piece))
    flac = file.getvalue()
    info = flac[8:42]
    form = struct.pack("<HHIIHHH", 0xF1AC, 1, 48_000, 96_000, 1, 16, len(info)) + info
    frames = flac[flac.index(b"\xff\xf8") :]
    reader = _reader()
    heard = 0
    for item in reader.read(riff(chunk(b"fmt ", form), chunk(b"data", frames))):
        assert not isinstance(item, Gap) and item.shape[0] <= 16_032
        heard += item.shape[0]
    reader.abort()
    assert heard > 16_000 * 50


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_telephones_samples_can_be_declared(encoding: str) -> None:
    import av

    tone = (0.5 * np.sin(2 * np.pi * 300 * np.arange(8_000) / 8_000)).astype(np.float32)
    codec = av.CodecContext.create(f"pcm_{encoding}", "w")
    codec.sample_rate, codec.layout, codec.format = 8_000, "mono", "s16"  # type: ignore[attr-defined]
    frame = av.AudioFrame.from_ndarray((tone * 32_767).astype("<i2")[None], format="s16", layout="mono")
    frame.sample_rate = 8_000
    coded = b"".join(bytes(packet) for packet in codec.encode(frame))  # type: ignore[attr-defined]
    assert len(coded) == 8_000
    items = list(_reader(declared=RawFormat(encoding, 8_000, 1)).read(coded))
    heard = np.concatenate([item for item in items if not isinstance(item, Gap)])
    assert heard.shape[0] == pytest.approx(16_000, abs=40)
    assert np.corrcoef(heard[:15_900:2], tone[:7_950])[0, 1] > 0.99


@pytest.mark.parametrize("message", [b"", b"abc", b"hello", bytes(range(200))])
def test_what_follows_a_whole_wav_and_is_no_chunk_is_answered(message: bytes) -> None:
    reader = _reader()
    list(reader.read(riff(fmt(), chunk(b"data", bytes(3_200)))))
    with pytest.raises(UnsupportedAudio):
        list(reader.read(message))
        list(reader.finish())


def test_a_coding_that_nobody_knows_is_refused_with_its_length() -> None:
    with pytest.raises(UnsupportedAudio, match="coding 0x7777") as caught:
        list(_reader().read(riff(fmt(0x7777), chunk(b"data", bytes(16_000)))))
    assert caught.value.lost_samples == 8_000

"""Encoded audio to mono float32 samples: WAV and raw samples by NumPy, every other file by PyAV.

FFmpeg writes no line of its own: PyAV, unless told otherwise, discards FFmpeg's log in C. It must stay so.
A call of ``av.logging.set_level`` with a number would put a Python callback there, which takes a lock and
writes to Python's handlers from whatever native thread decodes, and both freeze a gevent process.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import DecoderNotFoundError, DemuxerNotFoundError, FFmpegError, InvalidDataError

from whisper_service.audio.pcm import SAMPLE_RATE, Float32, bounded, int16_to_float32, mono
from whisper_service.audio.resample import Resampler
from whisper_service.errors import BadAudio, BadBase64, UnsupportedAudio

MIN_RATE = 1_000
MAX_RATE = 384_000
MAX_CHANNELS = 32
#: Longest file that :func:`decode_file` takes: a few kilobytes of silence can be coded for days.
MAX_FILE_S = 4 * 3600.0

#: What we take, in the words of an error message.
ACCEPTED = "WAV, FLAC, MP3, Ogg, WebM, MP4/M4A, AAC, AIFF, CAF, AU or AMR"

_ITEM_BYTES = {"s16le": 2, "f32le": 4}

_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
#: A compressed WAV of under 8 kbit/s is none: such a byte rate would turn one slice into hours of lost audio.
_LEAST_BYTES_PER_S = 1_000


@dataclass(frozen=True, slots=True)
class Pcm:
    """Decoded audio.

    :param samples: mono float32 in [-1, 1], shape ``(n,)``.
    :param rate: samples per second, in Hz.
    """

    samples: Float32
    rate: int


# --- any format


def decode(data: bytes, *, max_seconds: float = MAX_FILE_S) -> Pcm:
    """Return the audio of one whole file, in any format that we take.

    Blocks for as long as decoding takes: 0.01 ms for 500 ms of WAV, 3 to 4 ms for each second of MP3.

    :raises BadAudio: if the format is known and the contents are broken, or longer than ``max_seconds``.
    :raises UnsupportedAudio: if the format is none that we take.
    """
    if not is_wav(data):
        return decode_file(data, max_seconds=max_seconds)
    try:
        return decode_wav(data)
    except UnsupportedAudio as error:
        try:  # ADPCM, GSM and the like: rare, but FFmpeg knows them
            return _decode_container(data, "wav", max_seconds)
        except (BadAudio, UnsupportedAudio):
            raise error from None


def container_format(data: bytes) -> str | None:
    """Return FFmpeg's name for the container that ``data`` begins with, or None if it is none that we take.

    MP3 and AAC have no signature but a sync word of 11 or 12 bits, which raw samples hit by chance (-1 does):
    they count only if a second frame follows where the first one ends.
    """
    for offset, magic, name in _MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return name
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if _has_two_frames(data, _mp3_frame_bytes):
        return "mp3"
    if _has_two_frames(data, _adts_frame_bytes):
        return "aac"
    return None


_MAGIC = (
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"ID3", "mp3"),
    (4, b"ftyp", "mov"),
    (0, b"#!AMR", "amr"),
    (0, b"caff", "caf"),
    (0, b".snd", "au"),
    (0, b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "w64"),
)


def _has_two_frames(data: bytes, frame_bytes: Callable[[bytes], int]) -> bool:
    size = frame_bytes(data[:8])
    return size > 0 and (size == len(data) or frame_bytes(data[size : size + 8]) > 0)


_MPEG_1 = 3
_MPEG_1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_MPEG_2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
#: By the header's version: MPEG 2.5, reserved, MPEG 2, MPEG 1.
_MPEG_RATES = (
    (11_025, 12_000, 8_000, 0),
    (0, 0, 0, 0),
    (22_050, 24_000, 16_000, 0),
    (44_100, 48_000, 32_000, 0),
)


def _mp3_frame_bytes(header: bytes) -> int:
    """Return the length of the MPEG layer III frame that begins with ``header``, or 0 if none does.

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


def _adts_frame_bytes(header: bytes) -> int:
    """Return the length of the AAC frame that begins with ``header``, or 0 if none does.

    Source: ISO/IEC 14496-3, section 1.A.2.2.
    """
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size > 7 else 0


# --- WAV


@dataclass(frozen=True, slots=True)
class _WavFormat:
    tag: int
    channels: int
    rate: int
    bytes_per_s: int
    sample_bytes: int
    bits: int

    @property
    def frame_bytes(self) -> int:
        return self.sample_bytes * self.channels


def is_wav(data: bytes) -> bool:
    """Return whether ``data`` begins as a RIFF (or RF64, BW64) WAVE file."""
    return data[:4] in (b"RIFF", b"RF64", b"BW64") and data[8:12] == b"WAVE"


def decode_wav(data: bytes) -> Pcm:
    """Return the audio of a whole WAV file; an empty data chunk gives no samples.

    Takes 1 to 32 channels at 1 to 384 kHz of 8-bit unsigned, 16, 24 or 32-bit integer, 32 or 64-bit float,
    mu-law or A-law samples. The length in the header is not believed where recorders lie: 0, 0xFFFFFFFF, or
    more than there is, mean to the end of ``data``. A partial last frame is dropped.

    :raises BadAudio: if the file is broken; ``lost_samples`` is set where its length is known.
    :raises UnsupportedAudio: if it is no WAV, or coded in another way.
    Source: Microsoft/IBM, "Multimedia Programming Interface and Data Specifications 1.0", and for RF64 EBU
    Tech 3306.
    """
    if not is_wav(data):
        raise UnsupportedAudio("This is no WAV: it does not begin with 'RIFF', a length and 'WAVE'.")
    header, body = _wav_chunks(data)
    if header is None:
        raise BadAudio("The WAV has no 'fmt ' chunk: send each slice as a whole WAV, header included.")
    if body is None:
        raise BadAudio("The WAV has no data chunk: it was cut off within its header.")
    form = _wav_format(header)
    _check_rate_and_channels(form.rate, form.channels)
    item = _WAV_ITEMS.get((form.tag, form.sample_bytes))
    if item is None:
        credible = form.bytes_per_s >= _LEAST_BYTES_PER_S
        raise UnsupportedAudio(
            f"The WAV holds {form.bits}-bit samples of coding {form.tag:#06x}. Send 8, 16, 24 or 32-bit "
            "integers, 32 or 64-bit floats, mu-law or A-law.",
            lost_samples=_at_16k(len(body), form.bytes_per_s) if credible else 0,
        )
    whole = len(body) - len(body) % form.frame_bytes
    return Pcm(mono(item(body[:whole]).reshape(-1, form.channels)), form.rate)


def _wav_chunks(data: bytes) -> tuple[bytes | None, memoryview | None]:
    """Return the contents of the format chunk and of the data chunk, None for what is missing."""
    view = memoryview(data)
    header: bytes | None = None
    body: memoryview | None = None
    long_size = 0
    at = 12
    while at + 8 <= len(data) and (header is None or body is None):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"data":
            size = _data_size(data, at, size, long_size)
            body = view[at : at + size]
        elif name == b"fmt ":
            header = data[at : at + size]
        elif name == b"ds64" and len(data) >= at + 16:
            long_size = struct.unpack_from("<Q", data, at + 8)[0]
        at += size + size % 2
    return header, body


def _data_size(data: bytes, at: int, size: int, long_size: int) -> int:
    """Return the true length of the data chunk whose contents begin at ``at``."""
    rest = len(data) - at
    if size == 0xFFFFFFFF:
        size = long_size
    if size == 0 and data[at : at + 4] in (b"fmt ", b"LIST", b"fact", b"bext", b"id3 "):
        return 0
    return size if 0 < size <= rest else rest


def _wav_format(chunk: bytes) -> _WavFormat:
    if len(chunk) < 16:
        raise BadAudio("The WAV's format chunk is cut off: it has under 16 bytes.")
    tag, channels, rate, bytes_per_s, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]  # the sub-format's GUID begins with the plain tag
    sample_bytes = (bits + 7) // 8
    if channels and frame_bytes % channels == 0:  # 24 bits may lie in 4 bytes, left-justified
        sample_bytes = max(sample_bytes, frame_bytes // channels)
    return _WavFormat(tag, channels, rate, bytes_per_s, sample_bytes, bits)


def _integers(dtype: str, scale: float) -> Callable[[memoryview], Float32]:
    return lambda body: np.frombuffer(body, dtype).astype(np.float32) * np.float32(1 / scale)


def _floats(dtype: str) -> Callable[[memoryview], Float32]:
    return lambda body: bounded(np.frombuffer(body, dtype))


def _table(table: Callable[[], Float32]) -> Callable[[memoryview], Float32]:
    return lambda body: table()[np.frombuffer(body, np.uint8)]


def _unsigned_8(body: memoryview) -> Float32:
    return (np.frombuffer(body, np.uint8).astype(np.float32) - 128) * np.float32(1 / 128)


def _integers_24(body: memoryview) -> Float32:
    padded = np.zeros((len(body) // 3, 4), np.uint8)
    padded[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
    return padded.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)


def _mu_law() -> Float32:
    """Return the value of each mu-law octet, shape ``(256,)``. Source: ITU-T G.711, table 2a."""
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = ((((code & 15).astype(np.int32) << 3) + 132) << (code >> 4 & 7)) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.float32) / np.float32(32_768)


def _a_law() -> Float32:
    """Return the value of each A-law octet, shape ``(256,)``. Source: ITU-T G.711, table 1a."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    segment = (code >> 4 & 7).astype(np.int32)
    step = ((code & 15).astype(np.int32) << 4) + 8
    magnitude = np.where(segment == 0, step, (step + 256) << np.maximum(segment - 1, 0))
    return np.where(code & 128, magnitude, -magnitude).astype(np.float32) / np.float32(32_768)


#: Reader for each (coding, bytes of a sample); each returns float32 in [-1, 1], shape ``(n * channels,)``.
_WAV_ITEMS: dict[tuple[int, int], Callable[[memoryview], Float32]] = {
    (_PCM, 1): _unsigned_8,
    (_PCM, 2): _integers("<i2", 2.0**15),
    (_PCM, 3): _integers_24,
    (_PCM, 4): _integers("<i4", 2.0**31),
    (_FLOAT, 4): _floats("<f4"),
    (_FLOAT, 8): _floats("<f8"),
    (_MU_LAW, 1): _table(_mu_law),
    (_A_LAW, 1): _table(_a_law),
}


# --- raw samples


def decode_raw(data: bytes, *, encoding: str, rate: int, channels: int) -> Pcm:
    """Return the audio of samples without a header, channels interleaved.

    :raises BadAudio: if rate or channel count is out of range, or if ``data`` is no whole number of frames
        (with ``lost_samples``): samples after a lost byte would be noise.
    :raises UnsupportedAudio: if ``encoding`` is unknown.
    """
    if encoding not in _ITEM_BYTES:
        raise UnsupportedAudio(f"Raw samples must be s16le or f32le, not {encoding!r}.")
    _check_rate_and_channels(rate, channels)
    frame_bytes = _ITEM_BYTES[encoding] * channels
    if len(data) % frame_bytes:
        raise BadAudio(
            f"{len(data)} bytes are no whole number of frames: a frame of {channels} channel(s) in "
            f"{encoding} has {frame_bytes} bytes.",
            lost_samples=_at_16k(len(data) // frame_bytes, rate),
        )
    if encoding == "s16le":
        samples = int16_to_float32(np.frombuffer(data, "<i2"))
    else:
        samples = bounded(np.frombuffer(data, "<f4"))
    return Pcm(mono(samples.reshape(-1, channels)), rate)


def _check_rate_and_channels(rate: int, channels: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadAudio(f"A rate of {rate} Hz is out of range: {MIN_RATE} to {MAX_RATE} Hz.")
    if not 1 <= channels <= MAX_CHANNELS:
        raise BadAudio(f"{channels} channels are out of range: 1 to {MAX_CHANNELS}.")


def _at_16k(count: int, per_s: int) -> int:
    return round(count * SAMPLE_RATE / per_s)


# --- files


def decode_file(data: bytes, *, max_seconds: float = MAX_FILE_S) -> Pcm:
    """Return the first audio stream of a whole file (FLAC, MP3, Ogg, WebM, MP4…) at the file's own rate.

    Where the rate changes within the file, the rest is resampled to the first rate. Blocks for as long as
    decoding takes; needs 4 bytes for each sample of the result, and as much again while it is put together.

    :raises BadAudio: if the contents are broken, or longer than ``max_seconds``.
    :raises UnsupportedAudio: if the format is none that we take, or the file has no audio.
    """
    name = container_format(data)
    if name is None:
        what = "The message is empty" if not data else "This is no audio in a format that we know"
        raise UnsupportedAudio(f"{what}. Send each message as one whole file: {ACCEPTED}.")
    return _decode_container(data, name, max_seconds)


def _decode_container(data: bytes, name: str, max_seconds: float) -> Pcm:
    """Return the audio, by the one demuxer ``name``.

    Left to guess, FFmpeg would also take playlists, which make it open other files and addresses.
    """
    try:
        with av.open(io.BytesIO(data), "r", format=name, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise UnsupportedAudio("The file has no audio stream.")
            return _joined(_segments(_frames(container), max_seconds))
    except (DecoderNotFoundError, DemuxerNotFoundError) as error:
        raise UnsupportedAudio(f"The file's audio codec is none that we decode. Send {ACCEPTED}.") from error
    except (FFmpegError, ValueError) as error:
        raise BadAudio(
            "The file's audio is broken or cut off. Each message must be a whole file, from its header on."
        ) from error


def _frames(container: InputContainer) -> Iterator[av.AudioFrame]:
    for packet in container.demux(container.streams.audio[0]):
        # A damaged packet costs its own 20 ms, as in the ffmpeg program, and not the whole file.
        with contextlib.suppress(InvalidDataError):
            yield from packet.decode()


def _segments(frames: Iterator[av.AudioFrame], max_seconds: float) -> Iterator[Pcm]:
    seconds = 0.0
    for frame in frames:
        _check_rate_and_channels(frame.sample_rate, frame.layout.nb_channels)
        seconds += frame.samples / frame.sample_rate
        if seconds > max_seconds:
            raise BadAudio(f"The file is longer than {max_seconds:.0f} s, which is the most for one message.")
        yield Pcm(_frame_samples(frame), frame.sample_rate)


def _frame_samples(frame: av.AudioFrame) -> Float32:
    channels = frame.layout.nb_channels
    array: npt.NDArray[Any] = frame.to_ndarray()  # planar: (channels, n), else (1, n * channels)
    samples = array.T if frame.format.is_planar else array.reshape(-1, channels)
    if samples.dtype.kind == "f":
        return mono(bounded(samples))
    if samples.dtype == np.uint8:
        samples = samples.astype(np.int16) - 128
        return mono(samples.astype(np.float32) * np.float32(1 / 128))
    return mono(samples.astype(np.float32) * np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize)))


def _joined(segments: Iterator[Pcm]) -> Pcm:
    rate = 0
    pieces: list[Float32] = []
    resampler: Resampler | None = None
    for segment in segments:
        rate = rate or segment.rate
        if resampler is not None and resampler.rate != segment.rate:
            pieces.append(resampler.flush())
            resampler = None
        if resampler is None:
            resampler = Resampler(segment.rate, rate)
        pieces.append(resampler.resample(segment.samples))
    if resampler is None:
        raise BadAudio("The file holds no audio that can be decoded.")
    pieces.append(resampler.flush())
    return Pcm(np.concatenate(pieces), rate)


# --- base64

_DATA_URL = re.compile(r"data:([^,]*),", re.IGNORECASE)
_FROM_URLSAFE = str.maketrans("-_", "+/")


def decode_base64(text: str) -> bytes:
    """Return the bytes of ``text``, with or without a ``data:…;base64,`` prefix.

    White space, missing padding and the URL-safe alphabet (RFC 4648, section 5) are tolerated, nothing else.

    :raises BadBase64: if ``text`` is not base64.
    """
    prefix = _DATA_URL.match(text.lstrip()[:256])
    if prefix is not None:
        if not prefix[1].lower().endswith(";base64"):
            raise BadBase64("The data URL is not in base64: it must begin with 'data:audio/…;base64,'.")
        text = text.lstrip()[prefix.end() :]
    body = "".join(text.split()).translate(_FROM_URLSAFE)
    if "=" not in body:
        body += "=" * (-len(body) % 4)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise BadBase64(
            "The text is neither a JSON message nor base64. Send audio as binary frames, or as base64 text."
        ) from None

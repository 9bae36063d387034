"""Encoded audio to mono float32 samples: raw samples by NumPy, files by PyAV, and base64 around them.

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
from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import DecoderNotFoundError, DemuxerNotFoundError, FFmpegError, InvalidDataError

from whisper_service.audio.pcm import (
    Float32,
    Pcm,
    at_16k,
    bounded,
    check_rate_and_channels,
    int16_to_float32,
    mono,
)
from whisper_service.audio.resample import Resampler
from whisper_service.audio.wav import decode_wav, is_wav
from whisper_service.errors import BadAudio, BadBase64, UnsupportedAudio

#: Longest file that :func:`decode_file` takes: a few kilobytes of silence can be coded for days.
MAX_FILE_S = 4 * 3600.0

#: What we take, in the words of an error message.
ACCEPTED = "WAV, FLAC, MP3, Ogg, WebM, MP4/M4A, AAC, AIFF, CAF, AU or AMR"

_ITEM_BYTES = {"s16le": 2, "f32le": 4}


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


# --- raw samples


def decode_raw(data: bytes, *, encoding: str, rate: int, channels: int) -> Pcm:
    """Return the audio of samples without a header, channels interleaved.

    :raises BadAudio: if rate or channel count is out of range, or if ``data`` is no whole number of frames
        (with ``lost_samples``): samples after a lost byte would be noise.
    :raises UnsupportedAudio: if ``encoding`` is unknown.
    """
    if encoding not in _ITEM_BYTES:
        raise UnsupportedAudio(f"Raw samples must be s16le or f32le, not {encoding!r}.")
    check_rate_and_channels(rate, channels)
    frame_bytes = _ITEM_BYTES[encoding] * channels
    if len(data) % frame_bytes:
        raise BadAudio(
            f"{len(data)} bytes are no whole number of frames: a frame of {channels} channel(s) in "
            f"{encoding} has {frame_bytes} bytes.",
            lost_samples=at_16k(len(data) // frame_bytes, rate),
        )
    if encoding == "s16le":
        samples = int16_to_float32(np.frombuffer(data, "<i2"))
    else:
        samples = bounded(np.frombuffer(data, "<f4"))
    return Pcm(mono(samples.reshape(-1, channels)), rate)


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
        check_rate_and_channels(frame.sample_rate, frame.layout.nb_channels)
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

"""Encoded audio to mono float32 samples: whole files, raw samples, and base64 around them."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterator

import numpy as np

from whisper_service.audio.ffmpeg import ACCEPTED, container_blocks
from whisper_service.audio.pcm import (
    Float32,
    Pcm,
    bounded,
    check_rate_and_channels,
    int16_to_float32,
    mono,
)
from whisper_service.audio.recognise import Kind, recognise
from whisper_service.audio.resample import Resampler
from whisper_service.audio.wav import decode_wav, is_wav
from whisper_service.config import RawFormat
from whisper_service.errors import BadAudio, BadBase64, UnsupportedAudio

#: Longest file that :func:`decode` takes: a few kilobytes of silence can be coded for days.
MAX_FILE_S = 4 * 3600.0

_ITEM_BYTES = {"s16le": 2, "f32le": 4}


# --- files


def decode(data: bytes, *, max_seconds: float = MAX_FILE_S) -> Pcm:
    """Return the audio of one whole file, in any format that we take, at the file's own rate.

    Where the rate changes within the file, the rest is resampled to the first rate. Blocks for as long as
    decoding takes: 0.01 ms for 500 ms of WAV, 3 to 4 ms for each second of MP3. Needs 4 bytes for each sample
    of the result, and as much again while it is put together.

    :raises BadAudio: if the format is known and the contents are broken, or longer than ``max_seconds``.
    :raises UnsupportedAudio: if the format is none that we take.
    """
    form = recognise(data)
    match form.kind:
        case Kind.WAV | Kind.MORE if is_wav(data):
            return _decode_wav(data, max_seconds)
        case Kind.STREAM | Kind.FILE:
            return _joined(_within(container_blocks(io.BytesIO(data), form.name), max_seconds))
        case Kind.INDEX_LAST | Kind.MORE if data[4:8] == b"ftyp":
            raise BadAudio("The MP4 is cut off: its index (moov), which comes last, is missing.")
        case _:
            what = "The message is empty" if not data else "This is no audio in a format that we know"
            raise UnsupportedAudio(f"{what}. Send each message as one whole file: {ACCEPTED}.")


def _decode_wav(data: bytes, max_seconds: float) -> Pcm:
    try:
        return decode_wav(data)
    except UnsupportedAudio as error:
        try:  # ADPCM, GSM and the like: rare, but FFmpeg knows them
            return _joined(_within(container_blocks(io.BytesIO(data), "wav"), max_seconds))
        except (BadAudio, UnsupportedAudio):
            raise error from None


def _within(blocks: Iterator[Pcm], max_seconds: float) -> Iterator[Pcm]:
    seconds = 0.0
    for block in blocks:
        seconds += block.samples.shape[0] / block.rate
        if seconds > max_seconds:
            raise BadAudio(f"The file is longer than {max_seconds:.0f} s, which is the most for one message.")
        yield block


def _joined(blocks: Iterator[Pcm]) -> Pcm:
    rate = 0
    pieces: list[Float32] = []
    resampler: Resampler | None = None
    for block in blocks:
        rate = rate or block.rate
        if resampler is not None and resampler.rate != block.rate:
            pieces.append(resampler.flush())
            resampler = None
        if resampler is None:
            resampler = Resampler(block.rate, rate)
        pieces.append(resampler.resample(block.samples))
    if resampler is None:
        raise BadAudio("The file holds no audio that can be decoded.")
    pieces.append(resampler.flush())
    return Pcm(np.concatenate(pieces), rate)


# --- raw samples


class RawReader:
    """Reads samples without a header, channels interleaved, cut anywhere.

    :raises BadAudio: if rate or channel count is out of range.
    :raises UnsupportedAudio: if the encoding is unknown.
    """

    def __init__(self, raw: RawFormat) -> None:
        if raw.encoding not in _ITEM_BYTES:
            raise UnsupportedAudio(f"Raw samples must be s16le or f32le, not {raw.encoding!r}.")
        check_rate_and_channels(raw.rate, raw.channels)
        self._raw = raw
        self._frame_bytes = _ITEM_BYTES[raw.encoding] * raw.channels
        self._partial = b""

    def read(self, data: bytes) -> Pcm:
        """Return the audio of the next bytes; part of a frame waits for its rest."""
        body = self._partial + data
        whole = len(body) - len(body) % self._frame_bytes
        self._partial = body[whole:]
        if self._raw.encoding == "s16le":
            samples = int16_to_float32(np.frombuffer(body[:whole], "<i2"))
        else:
            samples = bounded(np.frombuffer(body[:whole], "<f4"))
        return Pcm(mono(samples.reshape(-1, self._raw.channels)), self._raw.rate)


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

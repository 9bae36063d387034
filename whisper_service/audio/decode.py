"""Decodes whole files and raw samples to float32 samples, and base64 text to bytes."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator

import numpy as np

from whisper_service.audio.ffmpeg import ACCEPTED, file_blocks
from whisper_service.audio.g711 import a_law, mu_law
from whisper_service.audio.mixing import Downmix
from whisper_service.audio.pcm import (
    Block,
    Recording,
    Samples,
    bounded,
    check_rate_and_channels,
    int16_to_float32,
)
from whisper_service.audio.recognise import Kind, recognise
from whisper_service.audio.resample import Resampler
from whisper_service.audio.wav import WavReader
from whisper_service.config import RawFormat
from whisper_service.errors import BadAudio, BadBase64, UnsupportedAudio

#: Longest file that :func:`decode` accepts: 4 hours at 48 kHz. It needs a limit because a few kilobytes can
#: encode days of silence.
MAX_FILE_SAMPLES = 4 * 3600 * 48_000
#: Number of bytes that are converted to samples at once. This takes a fraction of a millisecond.
_PIECE_BYTES = 1 << 16


# --- files


def decode(data: bytes, *, max_samples: int = MAX_FILE_SAMPLES) -> Recording:
    """Return the audio of one whole file, in any accepted format, at the file's own rate.

    If the rate changes within the file, the rest is resampled to the first rate. The call blocks while it
    decodes: 0.01 ms for 500 ms of WAV, 3 to 4 ms for each second of MP3. It needs 4 bytes of memory for each
    sample of the result, and the same amount again while it joins the pieces.

    :raises BadAudio: if the format is known but its contents are broken, or longer than ``max_samples``.
    :raises UnsupportedAudio: if the format or its codec is not accepted.
    """
    rate, count = 0, 0
    pieces: list[Samples] = []
    for block in _at_one_rate(mono_blocks(data)):
        rate, samples = block.rate, block.samples
        count += samples.shape[0]
        if count > max_samples:
            raise BadAudio(
                f"The file has more than {max_samples} samples, which is the most for one message."
            )
        pieces.append(samples)
    if not rate:
        raise BadAudio("The file holds no audio that can be decoded.")
    return Recording(np.concatenate(pieces), rate)


def mono_blocks(data: bytes) -> Iterator[Recording]:
    """Yield the mono audio of one whole file in pieces, each at its own rate; see ``decode``."""
    mixer = Downmix()
    for block in _blocks(data):
        yield Recording(mixer.mix(block), block.rate)


def _blocks(data: bytes) -> Iterator[Block]:
    form = recognise(data)
    match form.kind:
        case Kind.WAV:
            yield from _wav_blocks(data)
        case Kind.STREAM | Kind.FILE:
            for item in file_blocks(data, form.name):
                # Gaps are left out: their audio is lost, and a whole file need not keep time with a clock.
                if isinstance(item, Block):
                    yield item
        case Kind.INDEX_LAST | Kind.MORE if data[4:8] == b"ftyp":
            raise BadAudio("The MP4 is cut off: its index (moov), which comes last, is missing.")
        case _:
            what = "The message is empty" if not data else "The format of this audio is unknown"
            raise UnsupportedAudio(f"{what}. Send each message as one whole file: {ACCEPTED}.")


def _wav_blocks(data: bytes) -> Iterator[Block]:
    reader = WavReader()
    try:
        yield from reader.read(data)
        reader.end()
    except UnsupportedAudio as error:
        try:  # ADPCM, GSM and other rare codecs, which FFmpeg knows
            yield from (item for item in file_blocks(data, "wav") if isinstance(item, Block))
        except (BadAudio, UnsupportedAudio):
            raise error from None


def _at_one_rate(blocks: Iterator[Recording]) -> Iterator[Recording]:
    """Yield ``blocks``, resampled to the rate of the first one."""
    rate = 0
    resampler: Resampler | None = None
    for block in blocks:
        rate = rate or block.rate
        if resampler is not None and resampler.rate != block.rate:
            yield Recording(resampler.flush(), rate)
            resampler = None
        if resampler is None:
            resampler = Resampler(block.rate, rate)
        yield Recording(resampler.resample(block.samples), rate)
    if resampler is not None:
        yield Recording(resampler.flush(), rate)


# --- raw samples


class RawReader:
    """Reads samples without a header, with interleaved channels. The bytes may be cut at any position.

    :raises BadAudio: if the rate or the channel count is out of range.
    :raises UnsupportedAudio: if the encoding is unknown.
    """

    def __init__(self, raw: RawFormat) -> None:
        if raw.encoding not in _RAW_ITEMS:
            known = ", ".join(_RAW_ITEMS)
            raise UnsupportedAudio(f"Raw samples must be one of {known}, not {raw.encoding!r:.40}.")
        check_rate_and_channels(raw.rate, raw.channels)
        self._raw = raw
        item_bytes, self._item = _RAW_ITEMS[raw.encoding]
        self._frame_bytes = item_bytes * raw.channels
        self._partial = b""

    def read(self, data: bytes) -> Iterator[Block]:
        """Yield the audio of the next bytes, 64 KiB at a time. An incomplete frame waits for more bytes."""
        view = memoryview(data)
        for start in range(0, len(data), _PIECE_BYTES):
            body = b"".join((self._partial, view[start : start + _PIECE_BYTES]))
            whole = len(body) - len(body) % self._frame_bytes
            self._partial = body[whole:]
            samples = self._item(memoryview(body)[:whole])
            yield Block(samples.reshape(-1, self._raw.channels), self._raw.rate)


#: For each encoding: the bytes of one sample, and the function that converts bytes to float32 ``(n,)``.
_RAW_ITEMS: dict[str, tuple[int, Callable[[memoryview], Samples]]] = {
    "s16le": (2, lambda body: int16_to_float32(np.frombuffer(body, "<i2"))),
    "f32le": (4, lambda body: bounded(np.frombuffer(body, "<f4"))),
    "mulaw": (1, lambda body: mu_law()[np.frombuffer(body, np.uint8)]),
    "alaw": (1, lambda body: a_law()[np.frombuffer(body, np.uint8)]),
}


# --- base64

_DATA_URL = re.compile(r"data:([^,]*),", re.IGNORECASE)
_PREFIX_CHARACTERS = 256
_FROM_URLSAFE = bytes.maketrans(b"-_", b"+/")
_WHITE = b" \t\n\r\v\f"
#: Number of characters that are decoded at once. Each step holds the interpreter's lock (GIL) for a fraction
#: of a millisecond.
_PIECE_CHARACTERS = 1 << 18
_NO_BASE64 = "The text is neither a JSON message nor base64. Send audio as binary frames, or as base64 text."


def decode_base64(text: str) -> bytes:
    """Return the bytes that ``text`` encodes, with or without a ``data:…;base64,`` prefix.

    White space, missing padding and the URL-safe alphabet (RFC 4648, section 5) are accepted. Any other
    deviation from base64 is an error.

    :raises BadBase64: if ``text`` is not base64.
    """
    beginning = text[:_PREFIX_CHARACTERS]
    start = len(beginning) - len(beginning.lstrip())
    prefix = _DATA_URL.match(beginning, start)
    if prefix is not None:
        if not prefix[1].lower().endswith(";base64"):
            raise BadBase64("The data URL is not in base64: it must begin with 'data:audio/…;base64,'.")
        start = prefix.end()
    decoded = bytearray()
    rest, ended = b"", False
    for at in range(start, len(text), _PIECE_CHARACTERS):
        try:
            piece = text[at : at + _PIECE_CHARACTERS].encode("ascii")
        except UnicodeEncodeError:
            raise BadBase64(_NO_BASE64) from None
        body = rest + piece.translate(_FROM_URLSAFE, _WHITE)
        if ended and body:
            raise BadBase64(_NO_BASE64)  # there are characters after the padding
        whole = len(body) - len(body) % 4
        rest = body[whole:]
        decoded += _decoded(body[:whole])
        ended = body[:whole].endswith(b"=")
    if rest:
        if b"=" in rest or ended:
            raise BadBase64(_NO_BASE64)
        decoded += _decoded(rest + b"=" * (-len(rest) % 4))
    return bytes(decoded)


def _decoded(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body, strict_mode=True) if body else b""
    except binascii.Error:
        raise BadBase64(_NO_BASE64) from None

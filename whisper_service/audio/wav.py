"""Decodes WAV with the standard library and NumPy. Half a second takes 0.01 ms, with FFmpeg 1 ms.

All code here runs in the thread of the gevent hub and must not block it for long. So a message costs at most
one pass through its chunks, whose number is limited, and the samples come in pieces of bounded size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from whisper_service.audio.g711 import a_law, mu_law
from whisper_service.audio.pcm import (
    Block,
    Samples,
    at_16k,
    bounded,
    check_rate_and_channels,
)
from whisper_service.errors import BadAudio, UnsupportedAudio

_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
#: A byte rate below 8 kbit/s in a compressed WAV is not believed: it would turn one slice into hours of lost
#: audio.
_LEAST_BYTES_PER_S = 1_000
#: Programs write this size if they do not know the length: into a pipe they cannot write a correction later.
_UNKNOWN_SIZE = 0xFFFFFFFF
#: Limit for the header before the samples, if it comes in several messages, and for a chunk after them.
_LONGEST_HEADER_BYTES = 1 << 20
_MOST_CHUNKS = 1_000
_CHUNK_HEAD_BYTES = 8
#: Chunks without samples that programs write before or after the data.
_OTHER_CHUNKS = (
    b"LIST",
    b"fmt ",
    b"fact",
    b"bext",
    b"id3 ",
    b"ID3 ",
    b"cue ",
    b"smpl",
    b"JUNK",
    b"iXML",
    b"PEAK",
)
_LONGEST_TITLES_BYTES = 4096
#: Number of bytes that are converted to samples at once. This takes a fraction of a millisecond.
_PIECE_BYTES = 1 << 16


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


def is_wav(data: bytes | bytearray) -> bool:
    """Return whether ``data`` begins with the signature of a RIFF (or RF64, BW64) WAVE file."""
    return data[:4] in (b"RIFF", b"RF64", b"BW64") and data[8:12] == b"WAVE"


class WavReader:
    """Reads one WAV. Its bytes may be cut at any position.

    Accepts 1 to 32 channels at 1 to 384 kHz of 8-bit unsigned, 16, 24 or 32-bit integer, 32 or 64-bit float,
    mu-law or A-law samples. A data length of 0 or 0xFFFFFFFF means an unknown length, as in the output of
    ``ffmpeg -f wav -`` to a pipe. The data then goes on until no more bytes come. Chunks after the data are
    not audio and are skipped.

    Source: Microsoft/IBM, "Multimedia Programming Interface and Data Specifications 1.0", and for RF64 EBU
    Tech 3306.
    """

    def __init__(self) -> None:
        self._head = b""  # bytes from "RIFF" on, until the samples begin; a single message is not copied
        self._messages = 0
        self._at = 12  # position of the next chunk in the header
        self._chunks = 0
        self._format: bytes | None = None
        self._data: tuple[int, int | None] | None = (
            None  # position of the samples, and their number of bytes (None: unknown)
        )
        self._long_size = 0
        self._form: _WavFormat | None = None
        self._item: Callable[[memoryview], Samples] | None = None
        self._left: int | None = 0  # bytes of samples still to come; None: unknown
        self._partial = b""
        self._odd = False  # whether a padding byte follows the samples
        self._skip = 0  # bytes still to be skipped of a chunk after the samples
        self._tail = b""  # incomplete header of such a chunk
        self._foreign = False  # whether the bytes after the samples have turned out to be no chunk

    @property
    def head(self) -> bytes:
        """The bytes received so far, while the header is being read and after it was rejected."""
        return self._head

    @property
    def promised(self) -> bool:
        """Whether the header promises more bytes than have arrived."""
        if self._form is not None:
            return self._left != 0
        if self._data is None:
            return True
        begin, known = self._data
        return known is None or begin + known > len(self._head)

    def read(self, data: bytes) -> Iterator[Block]:
        """Yield the audio of the next bytes, in blocks of at most 64 KiB of input.

        :raises BadAudio: if the header is broken, or is longer than 1 MiB and comes in several messages.
        :raises UnsupportedAudio: if the samples have another coding. ``lost_samples`` is set if the byte rate
            in the header is credible.
        """
        view = memoryview(data)
        if self._form is None:
            self._head = self._head + data if self._head else bytes(data)
            self._messages += 1
            if not self._parse_header():
                if len(self._head) > _LONGEST_HEADER_BYTES and self._messages > 1:
                    raise BadAudio("The WAV has no data chunk within its first megabyte.")
                return
            assert self._data is not None
            begin, self._left = self._data
            view, self._head = memoryview(self._head)[begin:], b""
            self._odd = bool(self._left and self._left % 2)
            if not view or not self._left and self._left is not None:
                yield self._block(view[:0])  # an empty block, which still has the rate
        taken = view if self._left is None else view[: self._left]
        if self._left is None:
            taken = taken[: _sound_bytes(taken)]
        else:
            self._left -= len(taken)
            if not self._left:
                self._pass_chunks(bytes(view[len(taken) :][:_LONGEST_HEADER_BYTES]))
        for start in range(0, len(taken), _PIECE_BYTES):
            yield self._block(taken[start : start + _PIECE_BYTES])

    def belongs(self, data: bytes) -> bool:
        """Return whether a message without its own header continues this WAV.

        After the samples, such a message is a chunk of another kind. This call skips it, so ``read`` must not
        be called with it.
        """
        if self._form is None or self._left != 0:
            return True
        if not (self._skip or self._tail or self._odd):
            name = data[: len(b"data")]
            if not data or (len(data) < _CHUNK_HEAD_BYTES and name not in _OTHER_CHUNKS):
                return False  # too few bytes to recognise a chunk
        return bool(data) and not self._foreign and self._pass_chunks(data)

    def _pass_chunks(self, data: bytes) -> bool:
        """Skip chunks after the samples, cut at any position; return whether ``data`` consists of them."""
        if self._odd and data:
            self._odd, data = False, data[1:] if data[:1] == b"\0" else data
        chunks = 0
        while data:
            passed = min(self._skip, len(data))
            self._skip -= passed
            data = self._tail + data[passed:]
            self._tail = b""
            if len(data) < _CHUNK_HEAD_BYTES:
                self._tail = data
                break
            name, size = struct.unpack_from("<4sI", data)
            chunks += 1
            printable = all(32 <= letter < 127 for letter in name)
            if not printable or size > _LONGEST_HEADER_BYTES or chunks > _MOST_CHUNKS:
                self._foreign = True
                return False
            self._skip = size + size % 2
            data = data[_CHUNK_HEAD_BYTES:]
        return True

    def end(self) -> None:
        """Check, after the last bytes, that the samples have begun.

        :raises BadAudio: if the samples have not begun.
        :raises UnsupportedAudio: if the bytes are no WAV.
        """
        if self._form is None:
            if self._data is not None:
                raise BadAudio(
                    "The WAV has no 'fmt ' chunk: send each slice as a whole WAV, header included."
                )
            if self._format is None and self._chunks == 0 and not is_wav(self._head[:12]):
                raise UnsupportedAudio("This is no WAV: it does not begin with 'RIFF', a length and 'WAVE'.")
            raise BadAudio("The WAV has no data chunk: it was cut off within its header.")

    def _parse_header(self) -> bool:
        """Read on through the chunks of the header; return whether the samples have begun."""
        head = self._head
        while self._at + 8 <= len(head) and (self._format is None or self._data is None):
            self._chunks += 1
            if self._chunks > _MOST_CHUNKS:
                raise BadAudio(f"The WAV has more than {_MOST_CHUNKS} chunks in its header.")
            name, size = struct.unpack_from("<4sI", head, self._at)
            begin = self._at + 8
            if name == b"data":
                known = self._data_size(begin, size)
                self._data = begin, known
                if self._format is not None:
                    break
                size = len(head) - begin if known is None else known
            elif name in (b"fmt ", b"ds64"):
                if begin + size > len(head):
                    return False
                if name == b"fmt ":
                    self._format = bytes(head[begin : begin + size])
                elif size >= 16:
                    self._long_size = struct.unpack_from("<Q", head, begin + 8)[0]
            self._at = begin + size + size % 2
        if self._format is None or self._data is None:
            return False
        self._form = self._checked(_wav_format(self._format))
        return True

    def _data_size(self, begin: int, size: int) -> int | None:
        """Return the length of the data chunk whose contents begin at ``begin``; None if it is unknown."""
        if size == _UNKNOWN_SIZE:
            size = self._long_size
        if size == 0 and self._head[begin : begin + 4] in _OTHER_CHUNKS:
            return 0
        return size or None

    def _checked(self, form: _WavFormat) -> _WavFormat:
        check_rate_and_channels(form.rate, form.channels)
        self._item = _WAV_ITEMS.get((form.tag, form.sample_bytes))
        if self._item is None:
            assert self._data is not None
            begin, known = self._data
            here = len(self._head) - begin
            credible = form.bytes_per_s >= _LEAST_BYTES_PER_S
            raise UnsupportedAudio(
                f"The WAV holds {form.bits}-bit samples of coding {form.tag:#06x}. Send 8, 16, 24 or 32-bit "
                "integers, 32 or 64-bit floats, mu-law or A-law.",
                lost_samples=at_16k(min(here, known or here), form.bytes_per_s) if credible else 0,
            )
        return form

    def _block(self, data: memoryview) -> Block:
        assert self._form is not None and self._item is not None
        body = b"".join((self._partial, data))
        whole = len(body) - len(body) % self._form.frame_bytes
        self._partial = body[whole:]
        samples = self._item(memoryview(body)[:whole]).reshape(-1, self._form.channels)
        return Block(samples, self._form.rate)


def _sound_bytes(body: memoryview) -> int:
    """Return how many bytes of a message are samples, if the length of the data is unknown.

    Programs write titles and other metadata after the data. Such a chunk differs from samples in that it ends
    exactly where the message ends, or one padding byte before.
    """
    tail = bytes(body[-_LONGEST_TITLES_BYTES:])
    for name in _OTHER_CHUNKS:
        at = tail.rfind(name)
        if at >= 0 and len(tail) - at >= 8:
            size = struct.unpack_from("<I", tail, at + 4)[0]
            if at + 8 + size in (len(tail), len(tail) - 1):
                return len(body) - len(tail) + at
    return len(body)


def _wav_format(chunk: bytes) -> _WavFormat:
    if len(chunk) < 16:
        raise BadAudio("The WAV's format chunk is cut off: it has under 16 bytes.")
    tag, channels, rate, bytes_per_s, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]  # the sub-format's GUID begins with the plain tag
    sample_bytes = (bits + 7) // 8
    if channels and frame_bytes % channels == 0:  # 24 bits may be stored in 4 bytes, left-justified
        sample_bytes = max(sample_bytes, frame_bytes // channels)
    return _WavFormat(tag, channels, rate, bytes_per_s, sample_bytes, bits)


def _integers(dtype: str, scale: float) -> Callable[[memoryview], Samples]:
    return lambda body: np.frombuffer(body, dtype).astype(np.float32) * np.float32(1 / scale)


def _floats(dtype: str) -> Callable[[memoryview], Samples]:
    return lambda body: bounded(np.frombuffer(body, dtype))


def _table(table: Callable[[], Samples]) -> Callable[[memoryview], Samples]:
    return lambda body: table()[np.frombuffer(body, np.uint8)]


def _unsigned_8(body: memoryview) -> Samples:
    return (np.frombuffer(body, np.uint8).astype(np.float32) - 128) * np.float32(1 / 128)


def _integers_24(body: memoryview) -> Samples:
    padded = np.zeros((len(body) // 3, 4), np.uint8)
    padded[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
    return padded.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)


#: For each (coding, bytes of a sample): a function that converts bytes to float32 in [-1, 1], shape
#: ``(n * channels,)``.
_WAV_ITEMS: dict[tuple[int, int], Callable[[memoryview], Samples]] = {
    (_PCM, 1): _unsigned_8,
    (_PCM, 2): _integers("<i2", 2.0**15),
    (_PCM, 3): _integers_24,
    (_PCM, 4): _integers("<i4", 2.0**31),
    (_FLOAT, 4): _floats("<f4"),
    (_FLOAT, 8): _floats("<f8"),
    (_MU_LAW, 1): _table(mu_law),
    (_A_LAW, 1): _table(a_law),
}

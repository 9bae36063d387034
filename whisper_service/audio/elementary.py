"""MP3 and FLAC as they come: frames are cut out here and decoded one by one.

FFmpeg's demuxers read such streams in blocks of 1 KiB, and its FLAC parser looks ten frames ahead: up to
0.65 s of audio would wait. Here a frame waits for the header behind it, no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.audio.codeccontext import AudioCodecContext
from av.error import InvalidDataError

from whisper_service.audio.ffmpeg import GAP, LONGEST_GAP_S, frame_block
from whisper_service.audio.framing import Readable
from whisper_service.audio.pcm import Block, Gap
from whisper_service.errors import BadAudio

#: Samples that every MP3 begins with: 529 of the decoder's own delay and, with LAME, 576 of the encoder's.
_MP3_DELAY_SAMPLES = 1105
#: Where the mark of a first frame lies that holds a table and no audio.
_XING_BYTES = 48
#: An MP3 that goes on for this long without a frame is none; the longest frame has 1,441 bytes.
_LONGEST_LOSS_BYTES = 1 << 16
_STREAMINFO_BYTES = 34
#: Metadata before the first frame, pictures included.
_LONGEST_METADATA_BYTES = 32 << 20
#: A FLAC frame is never longer than its samples uncompressed; this is far above any.
_LONGEST_FRAME_BYTES = 1 << 20


def mp3_blocks(source: Readable) -> Iterator[Block | Gap]:
    """Yield an MP3 stream frame by frame; a tag in front is skipped.

    :raises BadAudio: if nothing in it can be decoded.
    Source: ISO/IEC 11172-3; ID3v2.4.0, section 3.1.
    """
    frames = _Frames("mp3")
    skip = _MP3_DELAY_SAMPLES
    data = _behind_tag(source)
    first, found, lost = True, False, 0
    while data:
        lost += len(data)
        for packet in frames.codec.parse(data):
            table = first and any(mark in bytes(packet)[:_XING_BYTES] for mark in (b"Xing", b"Info"))
            first = False
            for block in () if table else frames.decode(packet):
                if isinstance(block, Block):
                    kept = block.samples[skip:]
                    skip = max(0, skip - block.samples.shape[0])
                    found, lost = True, 0
                    block = Block(kept, block.rate)
                yield block
        if lost > _LONGEST_LOSS_BYTES:
            raise BadAudio("The MP3 stream is broken: it has gone on for long without a frame.")
        data = source.read(-1)
    for packet in frames.codec.parse(b""):
        for block in frames.decode(packet):
            yield block
            found = True
    if not found:
        raise BadAudio("The MP3 stream was cut off before its first frame, or is none.")


def _behind_tag(source: Readable) -> bytes:
    data = source.read(-1)
    if data[:3] != b"ID3" or len(data) < 10:
        return data
    size = 0
    for byte in data[6:10]:  # seven bits each
        size = size << 7 | byte & 0x7F
    rest = 10 + size
    while rest >= len(data):
        rest -= len(data)
        data = source.read(-1)
        if not data:
            return b""
    return data[rest:]


def flac_blocks(source: Readable) -> Iterator[Block | Gap]:
    """Yield a FLAC stream frame by frame.

    :raises BadAudio: if the header is broken, or no frame can be found behind it.
    Source: RFC 9639, sections 8 and 9.
    """
    stream_info, data = _flac_header(source)
    frames = _Frames("flac")
    frames.codec.extradata = stream_info
    buffer = bytearray(data)
    number: int | None = None
    searched = 1
    while True:
        end, number_behind = _next_frame(buffer, searched, number)
        if end is not None:
            yield from frames.decode(av.Packet(bytes(buffer[:end])))
            if number is not None and number_behind is not None:
                yield from frames.missing(number_behind - number, in_samples=bool(buffer[1] & 1))
            del buffer[:end]
            number, searched = number_behind, 1
            continue
        if len(buffer) > _LONGEST_FRAME_BYTES:
            raise BadAudio("The FLAC stream is broken: no frame follows the one before.")
        # A header may lie across the end of what is here.
        searched = max(1, len(buffer) - 16)
        more = source.read(-1)
        if not more:
            break
        buffer += more
    if buffer:  # the last frame, perhaps cut off
        yield from (block for block in frames.decode(av.Packet(bytes(buffer))) if isinstance(block, Block))


def _flac_header(source: Readable) -> tuple[bytes, bytes]:
    """Return the stream info, and what was read behind the metadata."""
    data = bytearray()
    stream_info, last, passed = b"", False, 0
    _need(source, data, 4)
    del data[:4]
    while not last:
        _need(source, data, 4)
        kind, last = data[0] & 0x7F, bool(data[0] & 0x80)
        size = int.from_bytes(data[1:4], "big")
        del data[:4]
        passed += size
        if passed > _LONGEST_METADATA_BYTES:
            raise BadAudio("The FLAC stream has more than 32 megabytes of metadata.")
        if kind == 0:
            _need(source, data, size)
            stream_info = bytes(data[:size])
        while size > len(data):  # pictures and the like are passed over as they come
            size -= len(data)
            data.clear()
            _more(source, data)
        del data[:size]
    if len(stream_info) != _STREAMINFO_BYTES:
        raise BadAudio("The FLAC stream has no stream info behind its signature.")
    return stream_info, bytes(data)


def _need(source: Readable, data: bytearray, count: int) -> None:
    while len(data) < count:
        _more(source, data)


def _more(source: Readable, data: bytearray) -> None:
    more = source.read(-1)
    if not more:
        raise BadAudio("The FLAC stream was cut off within its header.")
    data += more


def _next_frame(buffer: bytearray, start: int, number: int | None) -> tuple[int | None, int | None]:
    """Return where the next frame begins at or behind ``start``, and its number.

    :param number: that of the frame at the beginning of the buffer, None if it is not known.
    """
    at = start
    while (at := buffer.find(b"\xff", at)) >= 0:
        found = _frame_number(buffer[at : at + 16])
        if found is not None and (number is None or found > number):
            return at, found
        at += 1
    return None, None


def _frame_number(header: bytes | bytearray) -> int | None:
    """Return the frame's or sample's number if ``header`` begins with a whole frame header, else None."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xFE != 0xF8 or header[3] & 1:
        return None
    size, rate = header[2] >> 4, header[2] & 15
    if size == 0 or rate == 15 or header[3] >> 4 > 10:
        return None
    lead = header[4]
    extra = 0 if lead < 0x80 else next((n for n in range(1, 7) if not lead << n & 0x40), 7)
    if extra == 7 or (lead >= 0x80 and lead < 0xC0):
        return None
    end = 5 + extra + {6: 1, 7: 2}.get(size, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if len(header) <= end or _crc8(header[:end]) != header[end]:
        return None
    value = lead if not extra else lead & (0x3F >> extra)
    for byte in header[5 : 5 + extra]:
        value = value << 6 | byte & 0x3F
    return value


def _crc8(data: bytes | bytearray) -> int:
    """Return the checksum of a frame header: x^8 + x^2 + x + 1 (RFC 9639, section 9.1.8)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ 0x07 if crc & 0x80 else crc << 1
        crc &= 0xFF
    return crc


class _Frames:
    """Decodes frames one by one. A damaged frame costs itself, not the stream."""

    def __init__(self, name: str) -> None:
        codec = av.CodecContext.create(name, "r")
        assert isinstance(codec, AudioCodecContext)
        self.codec = codec
        self._samples, self._rate = 0, 0  # of the last frame

    def decode(self, packet: av.Packet[Any]) -> Iterator[Block | Gap]:
        """Yield the audio of a frame, or the gap that it leaves."""
        try:
            frames = self.codec.decode(packet)
        except InvalidDataError:
            if self._rate:
                yield Gap(self._samples / self._rate, GAP)
            return
        for frame in frames:
            self._samples, self._rate = frame.samples, frame.sample_rate
            yield frame_block(frame)

    def missing(self, ahead: int, *, in_samples: bool) -> Iterator[Gap]:
        """Yield the gap of FLAC frames that did not come.

        :param ahead: by how much the number of the next frame is larger than that of the last one.
        :param in_samples: whether these numbers count samples, as they do where frames differ in length, or
            frames. Source: RFC 9639, sections 9.1.1 and 9.1.5.
        """
        samples = ahead - self._samples if in_samples else (ahead - 1) * self._samples
        if 0 < samples <= LONGEST_GAP_S * self._rate:
            yield Gap(samples / self._rate, GAP)

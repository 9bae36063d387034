"""MP3 and FLAC streams: they are cut into frames, and each frame is decoded as soon as it has arrived.

FFmpeg's demuxers read such streams in blocks of 1 KiB, and its FLAC parser looks ten frames ahead. This would
delay up to 0.65 s of audio. Here a frame waits at most for the header of the next frame.
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

#: Delay that is removed from the beginning of every MP3, in samples: 529 from the decoder and, with LAME, 576
#: from the encoder.
_MP3_DELAY_SAMPLES = 1105
#: The first frame may hold a table instead of audio. The mark of the table lies within this many bytes.
_XING_BYTES = 48
#: A stream with more bytes than this between two frames is not an MP3. The longest frame has 1,441 bytes.
_LONGEST_LOSS_BYTES = 1 << 16
_STREAMINFO_BYTES = 34
#: Limit for the metadata before the first frame, pictures included.
_LONGEST_METADATA_BYTES = 32 << 20
#: Limit for a FLAC frame. A frame is hardly longer than its uncompressed samples, in practice far below this.
_LONGEST_FRAME_BYTES = 1 << 20


def mp3_blocks(source: Readable) -> Iterator[Block | Gap]:
    """Yield the audio of an MP3 stream frame by frame. An ID3 tag at the beginning is skipped.

    :raises BadAudio: if no frame can be decoded, or if more than 64 KiB come between two frames.
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
    for byte in data[6:10]:  # each byte holds seven bits of the size
        size = size << 7 | byte & 0x7F
    rest = 10 + size
    while rest >= len(data):
        rest -= len(data)
        data = source.read(-1)
        if not data:
            return b""
    return data[rest:]


def flac_blocks(source: Readable) -> Iterator[Block | Gap]:
    """Yield the audio of a FLAC stream frame by frame.

    :raises BadAudio: if the header is broken, or if more than 1 MiB comes without a frame header.
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
        # A frame header may be cut at the end of the buffer, so the last 16 bytes are searched again.
        searched = max(1, len(buffer) - 16)
        more = source.read(-1)
        if not more:
            break
        buffer += more
    if buffer:  # the last frame, perhaps cut off
        yield from (block for block in frames.decode(av.Packet(bytes(buffer))) if isinstance(block, Block))


def _flac_header(source: Readable) -> tuple[bytes, bytes]:
    """Return the stream info, and the bytes that were read after the metadata."""
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
        while size > len(data):  # pictures and other long metadata are not kept
            size -= len(data)
            data.clear()
            _more(source, data)
        del data[:size]
    if len(stream_info) != _STREAMINFO_BYTES:
        raise BadAudio("The FLAC stream has no stream info after its signature.")
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
    """Return the position of the first frame header at or after ``start``, and its number, or None for both.

    :param number: number of the frame at the beginning of the buffer, None if it is not known. The next frame
        must have a larger one.
    """
    at = start
    while (at := buffer.find(b"\xff", at)) >= 0:
        found = _frame_number(buffer[at : at + 16])
        if found is not None and (number is None or found > number):
            return at, found
        at += 1
    return None, None


def _frame_number(header: bytes | bytearray) -> int | None:
    """Return the frame or sample number if ``header`` begins with a complete frame header, else None."""
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
    """Return the CRC of a frame header: polynomial x^8 + x^2 + x + 1 (RFC 9639, section 9.1.8)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ 0x07 if crc & 0x80 else crc << 1
        crc &= 0xFF
    return crc


class _Frames:
    """Decodes frames one by one. If a frame is damaged, only this frame is lost."""

    def __init__(self, name: str) -> None:
        codec = av.CodecContext.create(name, "r")
        assert isinstance(codec, AudioCodecContext)
        self.codec = codec
        self._samples, self._rate = 0, 0  # of the last decoded frame

    def decode(self, packet: av.Packet[Any]) -> Iterator[Block | Gap]:
        """Yield the audio of a frame. A damaged frame yields a gap as long as the last decoded frame."""
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
        """Yield the gap that missing FLAC frames leave.

        :param ahead: number of the next frame minus number of the last one.
        :param in_samples: True if these numbers count samples, as they do if frames differ in length. False
            if they count frames. Source: RFC 9639, sections 9.1.1 and 9.1.5.
        """
        samples = ahead - self._samples if in_samples else (ahead - 1) * self._samples
        if 0 < samples <= LONGEST_GAP_S * self._rate:
            yield Gap(samples / self._rate, GAP)

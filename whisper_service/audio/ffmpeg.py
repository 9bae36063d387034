"""Decodes containers to samples with FFmpeg, through PyAV.

FFmpeg must not write to Python's log. By default PyAV discards FFmpeg's log in C. A call of
``av.logging.set_level`` with a number would install a Python callback instead. This callback takes a lock and
calls Python's log handlers in the native thread that decodes. Both freeze a gevent process.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.error import DecoderNotFoundError, DemuxerNotFoundError, FFmpegError

from whisper_service.audio.framing import Framer, Readable
from whisper_service.audio.mp4 import BoxFramer, checked_file
from whisper_service.audio.ogg import PageFramer
from whisper_service.audio.pcm import Block, Gap, Samples, bounded, check_rate_and_channels
from whisper_service.audio.webm import WebmFramer
from whisper_service.errors import AudioError, BadAudio, UnsupportedAudio

#: The accepted formats, as error messages name them.
ACCEPTED = "WAV, FLAC, MP3, Ogg, WebM, MP4/M4A, AAC, AIFF, CAF, AU or AMR"

#: Shortest gap without other signs of damage, shortest gap with them, and longest gap. A shorter jump is no
#: gap because timestamps are rounded, and those of recorders jitter. A jump of more than a minute is no gap
#: either, but the start of another clock.
_LEAST_GAP_S, _LEAST_CERTAIN_GAP_S, LONGEST_GAP_S = 0.1, 0.02, 60.0
#: After this much audio in a row that cannot be decoded, the gap is reported without waiting for more audio.
_LONGEST_DAMAGE_S = 1.0
GAP = "a piece of the stream is damaged or missing"


class Clock:
    """Follows the timestamps of one container stream, and detects missing audio.

    A ``Gap`` takes the place of missing audio. Every decoded block is kept, even if its timestamp is earlier
    than expected. That means another clock, as when one stream follows another.
    """

    def __init__(self) -> None:
        self._expected_s: float | None = None
        self._shift_s = 0.0
        self._damaged_s = 0.0  # length of the undecodable packets since the last block
        self._damaged = False  # whether there were any undecodable packets

    def place(self, block: Block, at_s: float | None, *, damaged: bool = False) -> Iterator[Block | Gap]:
        """Yield ``block``. If audio is missing before it, yield a gap first.

        :param at_s: timestamp of the block in the container, in seconds; None if it has none.
        :param damaged: whether bytes of the container were dropped shortly before the block.
        """
        damaged_s, self._damaged_s = self._damaged_s, 0.0
        if self._expected_s is None:
            self._expected_s = at_s or 0.0
        elif at_s is None:
            self._expected_s += damaged_s
            yield from _gap(damaged_s)
        else:
            # If the header of a WebM cluster is lost, its blocks get times relative to the cluster before it.
            # The shift corrects these, until the plain timestamps fit better again.
            late_s = min(at_s - self._expected_s, at_s + self._shift_s - self._expected_s, key=abs)
            if late_s == at_s - self._expected_s:
                self._shift_s = 0.0
            certain = damaged or damaged_s
            if (_LEAST_CERTAIN_GAP_S if certain else _LEAST_GAP_S) <= late_s <= LONGEST_GAP_S:
                yield from _gap(late_s)
                self._expected_s += late_s
            elif damaged and late_s < 0:
                self._shift_s = self._expected_s - at_s
            else:
                self._expected_s += late_s
        self._expected_s += block.samples.shape[0] / block.rate
        yield block

    @property
    def has_heard_nothing(self) -> bool:
        """Whether there were packets, but none of them could be decoded."""
        return self._expected_s is None and self._damaged

    def damage(self, seconds: float) -> Iterator[Gap]:
        """Record a packet that cannot be decoded. Yield a gap after 1 s of such packets in a row.

        A shorter gap is yielded by ``place``, before the next block.
        """
        self._damaged = True
        self._damaged_s += seconds
        if self._damaged_s >= _LONGEST_DAMAGE_S and self._expected_s is not None:
            self._expected_s += self._damaged_s
            yield from _gap(self._damaged_s)
            self._damaged_s = 0.0


def _gap(seconds: float) -> Iterator[Gap]:
    if seconds > 0:
        yield Gap(seconds, GAP)


def file_blocks(data: bytes, name: str) -> Iterator[Block | Gap]:
    """Yield the blocks of the first audio stream of a whole file; see ``container_blocks``."""
    return container_blocks(io.BytesIO(checked_file(data) if name == "mov" else data), name)


def stream_blocks(source: Readable, name: str) -> Iterator[Block | Gap]:
    """Yield the blocks of the first audio stream of a container, while its bytes arrive.

    Runs in its own thread, because ``source.read`` blocks until more bytes arrive.

    :param name: FFmpeg's name of the demuxer.
    :raises DeafStream: if 5 s of the stream have no part that can be used.
    :raises BadAudio, UnsupportedAudio: see ``container_blocks``.
    """
    framer = _FRAMERS[name](source) if name in _FRAMERS else None
    try:
        yield from container_blocks(framer or source, name)
    except AudioError as problem:
        raise (framer.problem if framer and framer.problem else problem) from None
    if framer is not None:
        if framer.problem is not None:
            raise framer.problem
        if framer.lost_s > _LEAST_GAP_S:
            yield Gap(min(framer.lost_s, LONGEST_GAP_S), GAP)


def container_blocks(file: Readable, name: str) -> Iterator[Block | Gap]:
    """Yield the blocks of the first audio stream of a container, packet by packet, at its own rate.

    :param name: FFmpeg's name of the demuxer. If FFmpeg guessed it, FFmpeg would also accept playlists, which
        make it open other files and addresses.
    :raises BadAudio: if the contents are broken.
    :raises UnsupportedAudio: if there is no audio stream, or its codec cannot be decoded.
    """
    clock = Clock()
    framer = file if isinstance(file, Framer) else None
    try:
        with av.open(file, "r", format=name, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise UnsupportedAudio("The file has no audio stream.")
            for packet in container.demux(container.streams.audio[0]):
                try:
                    frames = packet.decode()
                except DecoderNotFoundError:
                    raise
                except FFmpegError:
                    # Only this packet (20 ms) is lost, not the whole file. The ffmpeg program does the same.
                    yield from clock.damage(_seconds(packet.duration, packet.time_base) or 0.0)
                    continue
                for frame in frames:
                    block = frame_block(frame)
                    damaged = framer is not None and framer.damaged
                    if framer is not None:
                        framer.decoded(block.samples.shape[0] / block.rate)
                    yield from clock.place(block, _seconds(frame.pts, frame.time_base), damaged=damaged)
            if clock.has_heard_nothing:
                raise BadAudio("None of the audio can be decoded: it is damaged.")
    except (DecoderNotFoundError, DemuxerNotFoundError) as error:
        raise UnsupportedAudio(f"The audio's codec is none that we decode. Send {ACCEPTED}.") from error
    except (FFmpegError, ValueError) as error:
        raise BadAudio(
            "The audio is broken or cut off. A file or stream must come whole, from its header on."
        ) from error


#: Framers for the containers that can be decoded although a piece is missing.
_FRAMERS: dict[str, Callable[[Readable], Framer]] = {
    "matroska": WebmFramer,
    "mov": BoxFramer,
    "ogg": PageFramer,
}


def frame_block(frame: av.AudioFrame) -> Block:
    """Return the samples of one decoded frame.

    :raises BadAudio: if its rate or channel count is out of range.
    """
    channels = frame.layout.nb_channels
    check_rate_and_channels(frame.sample_rate, channels)
    array: npt.NDArray[Any] = frame.to_ndarray()  # planar: (channels, n), else (1, n * channels)
    samples = array.T if frame.format.is_planar else array.reshape(-1, channels)
    return Block(_floats(samples), frame.sample_rate)


def _seconds(count: int | None, unit: Fraction | None) -> float | None:
    return None if count is None or unit is None else float(count * unit)


def _floats(samples: npt.NDArray[Any]) -> Samples:
    if samples.dtype.kind == "f":
        return bounded(samples)
    if samples.dtype == np.uint8:
        samples = samples.astype(np.int16) - 128
        return samples.astype(np.float32) * np.float32(1 / 128)
    return samples.astype(np.float32) * np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))

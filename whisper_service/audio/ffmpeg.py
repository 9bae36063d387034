"""Containers to samples, by FFmpeg through PyAV.

FFmpeg writes no line of its own: PyAV, unless told otherwise, discards FFmpeg's log in C. It must stay so.
A call of ``av.logging.set_level`` with a number would put a Python callback there, which takes a lock and
writes to Python's handlers from whatever native thread decodes, and both freeze a gevent process.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.error import DecoderNotFoundError, DemuxerNotFoundError, FFmpegError, InvalidDataError

from whisper_service.audio.mp4 import check_tables
from whisper_service.audio.pcm import Block, Float32, Gap, bounded, check_rate_and_channels
from whisper_service.errors import BadAudio, UnsupportedAudio

#: What we take, in the words of an error message.
ACCEPTED = "WAV, FLAC, MP3, Ogg, WebM, MP4/M4A, AAC, AIFF, CAF, AU or AMR"

#: Timestamps are rounded, and those of recorders jitter: a gap is longer than this. A jump over more than a
#: minute is another clock, and no gap.
_LEAST_GAP_S, LONGEST_GAP_S = 0.05, 60.0
GAP = "a piece of the stream is damaged or missing"


class Readable(Protocol):
    """What FFmpeg reads from; with ``seek`` and ``tell`` it seeks too."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, b"" at the end. May block."""


class Clock:
    """Follows the timestamps of one container stream, so that audio that is missing is noticed.

    What is missing takes its place as a ``Gap``; what was heard before is left out. The clock outlives the
    demuxer: one that is started again in the middle of the stream goes on with it.
    """

    def __init__(self) -> None:
        self._expected_s: float | None = None
        self._damaged_s = 0.0  # of packets since the last sound
        #: Where the last packet ends that could be decoded, in bytes of the demuxer; None if it does not say.
        self.read_to: int | None = None

    def place(self, block: Block, at_s: float | None) -> Iterator[Block | Gap]:
        """Yield ``block``, after the gap before it, or what of it is new.

        :param at_s: its time in the container, in seconds; None if it has none.
        """
        length_s = block.samples.shape[0] / block.rate
        damaged_s, self._damaged_s = self._damaged_s, 0.0
        if self._expected_s is None:
            self._expected_s = at_s or 0.0
        elif at_s is None:
            self._expected_s += damaged_s
            yield from _gap(damaged_s)
        else:
            late_s = at_s - self._expected_s
            if -LONGEST_GAP_S <= late_s <= -_LEAST_GAP_S:
                known = round(-late_s * block.rate)
                if known < block.samples.shape[0]:
                    self._expected_s = at_s + length_s
                    yield Block(block.samples[known:], block.rate)
                return
            # A packet that is damaged explains a gap that would else be too small to tell.
            if min(_LEAST_GAP_S, damaged_s / 2 or _LEAST_GAP_S) <= late_s <= LONGEST_GAP_S:
                yield from _gap(late_s)
            self._expected_s = at_s
        self._expected_s += length_s
        yield block

    def damage(self, seconds: float) -> None:
        """Note that a packet cannot be decoded. If others follow it, it leaves a gap."""
        self._damaged_s += seconds


def _gap(seconds: float) -> Iterator[Gap]:
    if seconds > 0:
        yield Gap(seconds, GAP)


def file_blocks(data: bytes, name: str) -> Iterator[Block | Gap]:
    """Yield the first audio stream of a whole file; see ``container_blocks``."""
    if name == "mov":
        check_tables(data)
    return container_blocks(io.BytesIO(data), name, Clock())


def container_blocks(file: Readable, name: str, clock: Clock) -> Iterator[Block | Gap]:
    """Yield the first audio stream of a container, packet by packet, at its own rate.

    :param name: FFmpeg's name of the demuxer. Left to guess, FFmpeg would also take playlists, which make it
        open other files and addresses.
    :raises BadAudio: if the contents are broken.
    :raises UnsupportedAudio: if there is no audio, or in a codec that we do not decode.
    """
    try:
        with av.open(file, "r", format=name, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise UnsupportedAudio("The file has no audio stream.")
            for packet in container.demux(container.streams.audio[0]):
                try:
                    frames = packet.decode()
                except InvalidDataError:
                    # It costs its own 20 ms, as in the ffmpeg program, and not the whole file.
                    clock.damage(_seconds(packet.duration, packet.time_base) or 0.0)
                    continue
                if frames:
                    clock.read_to = packet.pos + packet.size if packet.pos is not None else None
                for frame in frames:
                    yield from clock.place(frame_block(frame), _seconds(frame.pts, frame.time_base))
    except (DecoderNotFoundError, DemuxerNotFoundError) as error:
        raise UnsupportedAudio(f"The audio's codec is none that we decode. Send {ACCEPTED}.") from error
    except (FFmpegError, ValueError) as error:
        raise BadAudio(
            "The audio is broken or cut off. A file or stream must come whole, from its header on."
        ) from error


def frame_block(frame: av.AudioFrame) -> Block:
    """Return the samples of one frame.

    :raises BadAudio: if its rate or channel count is out of range.
    """
    channels = frame.layout.nb_channels
    check_rate_and_channels(frame.sample_rate, channels)
    array: npt.NDArray[Any] = frame.to_ndarray()  # planar: (channels, n), else (1, n * channels)
    samples = array.T if frame.format.is_planar else array.reshape(-1, channels)
    return Block(_floats(samples), frame.sample_rate)


def _seconds(count: int | None, unit: Fraction | None) -> float | None:
    return None if count is None or unit is None else float(count * unit)


def _floats(samples: npt.NDArray[Any]) -> Float32:
    if samples.dtype.kind == "f":
        return bounded(samples)
    if samples.dtype == np.uint8:
        samples = samples.astype(np.int16) - 128
        return samples.astype(np.float32) * np.float32(1 / 128)
    return samples.astype(np.float32) * np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))

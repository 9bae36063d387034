"""Containers to samples, by FFmpeg through PyAV.

FFmpeg writes no line of its own: PyAV, unless told otherwise, discards FFmpeg's log in C. It must stay so.
A call of ``av.logging.set_level`` with a number would put a Python callback there, which takes a lock and
writes to Python's handlers from whatever native thread decodes, and both freeze a gevent process.
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

#: What we take, in the words of an error message.
ACCEPTED = "WAV, FLAC, MP3, Ogg, WebM, MP4/M4A, AAC, AIFF, CAF, AU or AMR"

#: Timestamps are rounded, and those of recorders jitter: a gap is longer than this, where nothing else speaks
#: for one, and longer than that where something does. A jump over more than a minute is another clock, and no
#: gap.
_LEAST_GAP_S, _LEAST_CERTAIN_GAP_S, LONGEST_GAP_S = 0.1, 0.02, 60.0
#: So much audio in a row that cannot be decoded is told before the next sound comes.
_LONGEST_DAMAGE_S = 1.0
GAP = "a piece of the stream is damaged or missing"


class Clock:
    """Follows the timestamps of one container stream, so that audio that is missing is noticed.

    What is missing takes its place as a ``Gap``. Every block that comes is kept: times that step back are
    another clock, as where one stream follows another.
    """

    def __init__(self) -> None:
        self._expected_s: float | None = None
        self._shift_s = 0.0
        self._damaged_s = 0.0  # of packets that could not be decoded, since the last sound
        self._damaged = False  # whether there were any

    def place(self, block: Block, at_s: float | None, *, damaged: bool = False) -> Iterator[Block | Gap]:
        """Yield ``block``, after the gap before it.

        :param at_s: its time in the container, in seconds; None if it has none.
        :param damaged: whether something was left out before it.
        """
        damaged_s, self._damaged_s = self._damaged_s, 0.0
        if self._expected_s is None:
            self._expected_s = at_s or 0.0
        elif at_s is None:
            self._expected_s += damaged_s
            yield from _gap(damaged_s)
        else:
            # Where the head of a cluster is lost, its blocks have times of the one before it.
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
        """Whether there were packets, and none of them could be decoded."""
        return self._expected_s is None and self._damaged

    def damage(self, seconds: float) -> Iterator[Gap]:
        """Note that a packet cannot be decoded. It leaves a gap once others follow it, or many cannot."""
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
    """Yield the first audio stream of a whole file; see ``container_blocks``."""
    return container_blocks(io.BytesIO(checked_file(data) if name == "mov" else data), name)


def stream_blocks(source: Readable, name: str) -> Iterator[Block | Gap]:
    """Yield the first audio stream of a container whose bytes come one after the other.

    Runs in a thread of its own, which waits in ``source.read``.

    :param name: FFmpeg's name of the demuxer.
    :raises DeafStream: if nothing can be made of 5 s of the stream.
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
    """Yield the first audio stream of a container, packet by packet, at its own rate.

    :param name: FFmpeg's name of the demuxer. Left to guess, FFmpeg would also take playlists, which make it
        open other files and addresses.
    :raises BadAudio: if the contents are broken.
    :raises UnsupportedAudio: if there is no audio, or in a codec that we do not decode.
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
                    # It costs its own 20 ms, as in the ffmpeg program, and not the whole file.
                    yield from clock.damage(_seconds(packet.duration, packet.time_base) or 0.0)
                    continue
                for frame in frames:
                    block = frame_block(frame)
                    damaged = framer is not None and framer.damaged
                    if framer is not None:
                        framer.heard(block.samples.shape[0] / block.rate)
                    yield from clock.place(block, _seconds(frame.pts, frame.time_base), damaged=damaged)
            if clock.has_heard_nothing:
                raise BadAudio("None of the audio can be decoded: it is damaged.")
    except (DecoderNotFoundError, DemuxerNotFoundError) as error:
        raise UnsupportedAudio(f"The audio's codec is none that we decode. Send {ACCEPTED}.") from error
    except (FFmpegError, ValueError) as error:
        raise BadAudio(
            "The audio is broken or cut off. A file or stream must come whole, from its header on."
        ) from error


#: For containers of which a piece may be missing.
_FRAMERS: dict[str, Callable[[Readable], Framer]] = {
    "matroska": WebmFramer,
    "mov": BoxFramer,
    "ogg": PageFramer,
}


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


def _floats(samples: npt.NDArray[Any]) -> Samples:
    if samples.dtype.kind == "f":
        return bounded(samples)
    if samples.dtype == np.uint8:
        samples = samples.astype(np.int16) - 128
        return samples.astype(np.float32) * np.float32(1 / 128)
    return samples.astype(np.float32) * np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))

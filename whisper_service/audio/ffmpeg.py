"""Containers to samples, by FFmpeg through PyAV.

FFmpeg writes no line of its own: PyAV, unless told otherwise, discards FFmpeg's log in C. It must stay so.
A call of ``av.logging.set_level`` with a number would put a Python callback there, which takes a lock and
writes to Python's handlers from whatever native thread decodes, and both freeze a gevent process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.error import DecoderNotFoundError, DemuxerNotFoundError, FFmpegError, InvalidDataError

from whisper_service.audio.pcm import Float32, Pcm, bounded, check_rate_and_channels, mono
from whisper_service.errors import BadAudio, UnsupportedAudio

#: What we take, in the words of an error message.
ACCEPTED = "WAV, FLAC, MP3, Ogg, WebM, MP4/M4A, AAC, AIFF, CAF, AU or AMR"


class Readable(Protocol):
    """What FFmpeg reads from; with ``seek`` and ``tell`` it seeks too."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, b"" at the end. May block."""


def container_blocks(file: Readable, name: str) -> Iterator[Pcm]:
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
                # A damaged packet costs its own 20 ms, as in the ffmpeg program, and not the whole file.
                with contextlib.suppress(InvalidDataError):
                    for frame in packet.decode():
                        yield frame_block(frame)
    except (DecoderNotFoundError, DemuxerNotFoundError) as error:
        raise UnsupportedAudio(f"The audio's codec is none that we decode. Send {ACCEPTED}.") from error
    except (FFmpegError, ValueError) as error:
        raise BadAudio(
            "The audio is broken or cut off. A file or stream must come whole, from its header on."
        ) from error


def frame_block(frame: av.AudioFrame) -> Pcm:
    """Return the samples of one frame, its channels averaged.

    :raises BadAudio: if its rate or channel count is out of range.
    """
    channels = frame.layout.nb_channels
    check_rate_and_channels(frame.sample_rate, channels)
    array: npt.NDArray[Any] = frame.to_ndarray()  # planar: (channels, n), else (1, n * channels)
    samples = array.T if frame.format.is_planar else array.reshape(-1, channels)
    return Pcm(_floats(samples), frame.sample_rate)


def _floats(samples: npt.NDArray[Any]) -> Float32:
    if samples.dtype.kind == "f":
        return mono(bounded(samples))
    if samples.dtype == np.uint8:
        samples = samples.astype(np.int16) - 128
        return mono(samples.astype(np.float32) * np.float32(1 / 128))
    return mono(samples.astype(np.float32) * np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize)))

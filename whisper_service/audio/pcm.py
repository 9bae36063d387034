"""Decoded samples: their types, conversions and limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whisper_service.errors import BadAudio

#: Sample rate of Whisper's input, in Hz (Radford et al. 2022, section 2.2).
SAMPLE_RATE = 16_000
#: Samples of a speech frame: 32 ms, the size for which Silero VAD gives one probability at 16 kHz.
FRAME_SAMPLES = 512

MIN_RATE = 1_000
MAX_RATE = 384_000
MAX_CHANNELS = 32

#: The largest int16 plus one. As this is a power of two, every int16 is exact in float32 and converts back
#: unchanged.
INT16_SCALE = 32_768

#: Audio samples in [-1, 1]; mono ``(n_samples,)`` unless a docstring says otherwise.
Samples = npt.NDArray[np.float32]
Int16 = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Recording:
    """Decoded mono audio of any rate.

    :param samples: mono float32 in [-1, 1], shape ``(n,)``.
    :param rate: samples per second, in Hz.
    """

    samples: Samples
    rate: int


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of decoded audio with all its channels.

    :param samples: float32 in [-1, 1], shape ``(n, channels)``.
    :param rate: samples per second, in Hz.
    """

    samples: Samples
    rate: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Audio that was sent but is lost or cannot be decoded. Silence takes its place.

    :param seconds: its length, by the timestamps of the container or estimated from its bytes.
    :param reason: why the audio is lost. If this is empty, the client gets no message about the gap.
    """

    seconds: float
    reason: str


def int16_to_float32(samples: npt.NDArray[Any]) -> Samples:
    """Return ``samples`` as float32 in [-1, 1).

    :param samples: int16 of either byte order, any shape; the result has the same shape.
    """
    return samples.astype(np.float32) * np.float32(1 / INT16_SCALE)


def float32_to_int16(samples: npt.NDArray[np.floating[Any]]) -> Int16:
    """Return ``samples`` as int16, rounded to the nearest integer.

    Values outside of [-1, 1) saturate, and NaN becomes 0.

    :param samples: float in [-1, 1], any shape; the result has the same shape.
    """
    scaled = np.nan_to_num(np.rint(samples * np.float32(INT16_SCALE)), nan=0.0)
    whole: Int16 = np.clip(scaled, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
    return whole


def bounded(samples: npt.NDArray[np.floating[Any]]) -> Samples:
    """Return ``samples`` as float32 in [-1, 1]: NaN and infinities become 0, the rest is clipped.

    An infinity is not a loud sample but a fault of the sender. As 1.0 it would be heard as a click.

    :param samples: float of any width, byte order and shape; the result has the same shape.
    """
    finite = np.where(np.isfinite(samples), samples, 0)
    return finite.clip(-1.0, 1.0).astype(np.float32)


def check_rate_and_channels(rate: int, channels: int) -> None:
    """Raise BadAudio if no device has this rate (in Hz) or this many channels."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadAudio(f"A rate of {rate} Hz is out of range: {MIN_RATE} to {MAX_RATE} Hz.")
    if not 1 <= channels <= MAX_CHANNELS:
        raise BadAudio(f"{channels} channels are out of range: 1 to {MAX_CHANNELS}.")


def at_16k(count: int, per_s: int) -> int:
    """Return how many samples at 16 kHz last as long as ``count`` units at ``per_s`` units per second."""
    return round(count * SAMPLE_RATE / per_s)

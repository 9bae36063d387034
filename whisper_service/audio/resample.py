"""One continuous resampler for each stream. It uses libswresample, as Whisper's own ``load_audio`` does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from av import AudioFrame, AudioResampler

from whisper_service.audio.pcm import SAMPLE_RATE, Samples

#: Longest frame that is passed to FFmpeg at once. FFmpeg stores the size of a frame in bytes as a C int.
MAX_FRAME_SAMPLES = 1 << 20


class Resampler:
    """Resamples one mono stream from ``rate`` to ``target`` Hz. The stream may arrive in any slices.

    The filter continues across slices: a filter that restarts at each slice clicks at each boundary. The
    output of all calls together is the same, bit for bit, for every way of cutting the input (at rates that
    no device has, such as 15,999 Hz, single samples differ by 2e-6). Up to 17 samples at the lower of the two
    rates are held back until more input arrives or :meth:`flush` is called: 2 ms from 8 kHz on. Input at
    ``target`` Hz is returned unchanged. The filter overshoots: clipped input can exceed [-1, 1] by some
    percent.

    Two threads must not use it at the same time. Nothing here blocks.

    :param rate: rate of the input in Hz.
    :param target: rate of the output in Hz.
    :raises ValueError: if a rate is not positive.
    """

    def __init__(self, rate: int, target: int = SAMPLE_RATE) -> None:
        if rate <= 0 or target <= 0:
            raise ValueError(f"rates must be positive, got {rate} and {target}")
        self.rate = rate
        self.target = target
        self._reset()

    def _reset(self) -> None:
        self._taken = 0
        self._given = 0
        self._swr = AudioResampler(format="flt", layout="mono", rate=self.target)

    def resample(self, samples: Samples) -> Samples:
        """Return the output that is ready after ``samples``; it may be empty.

        :param samples: float32, shape ``(n,)``, at ``rate`` Hz; n may be 0.
        :returns: float32, shape ``(m,)``, at ``target`` Hz.
        :raises ValueError: if ``samples`` is not one-dimensional.
        """
        if samples.ndim != 1:
            raise ValueError(f"expected samples of shape (n,), got {samples.shape}")
        if self.rate == self.target:
            return samples
        pieces = [piece for part in _parts(samples) for piece in self._convert(part)]
        self._taken += len(samples)
        self._given += sum(map(len, pieces))
        return _joined(pieces)

    def flush(self) -> Samples:
        """Return the samples that were held back, and begin a new stream.

        libswresample ends a stream up to one sample late, depending on the ratio. So the tail is cut, or
        padded with zeros, until the whole output has ``round(n_in * target / rate)`` samples.

        :returns: float32, shape ``(m,)``, at ``target`` Hz.
        """
        if self.rate == self.target or self._taken == 0:
            return np.zeros(0, np.float32)
        tail = _joined(_arrays(self._swr.resample(None)))
        missing = max(0, round(self._taken * self.target / self.rate) - self._given)
        self._reset()
        return np.pad(tail[:missing], (0, max(0, missing - len(tail))))

    def _convert(self, samples: Samples) -> list[Samples]:
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, np.float32).reshape(1, -1), format="flt", layout="mono"
        )
        frame.sample_rate = self.rate
        return _arrays(self._swr.resample(frame))


def _parts(samples: Samples) -> Iterator[Samples]:
    for start in range(0, len(samples), MAX_FRAME_SAMPLES):
        yield samples[start : start + MAX_FRAME_SAMPLES]


def _arrays(frames: list[AudioFrame]) -> list[Samples]:
    return [frame.to_ndarray().reshape(-1).astype(np.float32, copy=False) for frame in frames]


def _joined(pieces: list[Samples]) -> Samples:
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

"""Mixes several channels to one."""

from __future__ import annotations

import logging

import numpy as np

from whisper_service.audio.pcm import Block, Samples

log = logging.getLogger(__name__)

#: Seconds of audio over which the channels are compared.
_COMPARED_S = 0.1
#: The channels cancel each other if their average has less than the first share of their mean power. They no
#: longer do if it has more than the second share. The average of 32 uncorrelated channels has 1/32.
_CANCELS, _ADDS = 0.01, 0.1
#: The channels are not judged if their mean square is not above this: -60 dB of full scale.
_SILENCE = 1e-6


class Downmix:
    """Averages the channels of one stream, or takes one of them if they cancel each other.

    The channels are averaged, not summed as in FFmpeg's mixer (it has a gain of 1.41 from stereo to mono, and
    clips). If a cable has one wire crossed, or a microphone inverts one channel, the average is silence. So
    the power is compared every 100 ms, counted from the first sample, and decides how the samples after it
    are mixed. The result depends on the samples alone, not on how they were cut into blocks.
    """

    def __init__(self) -> None:
        self._shape = (0, 0)  # rate and channels
        self._chosen: int | None = None
        self._begin_comparison()

    def mix(self, block: Block) -> Samples:
        """Return ``block`` mixed to one channel, float32 ``(n,)``."""
        samples = block.samples
        count, channels = samples.shape
        if self._shape != (block.rate, channels):
            self._shape, self._chosen = (block.rate, channels), None
            self._begin_comparison()
        if channels == 1:
            return samples[:, 0]
        average: Samples = samples.mean(axis=1, dtype=np.float32)
        mixed = average.copy()
        start = 0
        while start < count:
            part = slice(start, min(count, start + self._left))
            if self._chosen is not None:
                mixed[part] = samples[part, self._chosen]
            self._compare(samples[part], average[part])
            start = part.stop
        return mixed

    def _begin_comparison(self) -> None:
        rate, channels = self._shape
        self._left = self._length = max(1, round(rate * _COMPARED_S))
        self._power = np.zeros(channels)
        self._average_power = 0.0

    def _compare(self, samples: Samples, average: Samples) -> None:
        self._power += np.square(samples, dtype=np.float64).sum(axis=0)
        self._average_power += float(np.square(average, dtype=np.float64).sum())
        self._left -= samples.shape[0]
        if self._left:
            return
        power = float(self._power.mean())
        if power > _SILENCE * self._length:
            if self._average_power < _CANCELS * power:
                if self._chosen is None:
                    log.info("the channels of a stream cancel each other; one of them is taken")
                    self._chosen = int(self._power.argmax())
            elif self._average_power > _ADDS * power:
                self._chosen = None
        self._begin_comparison()

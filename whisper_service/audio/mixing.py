"""From several channels to one."""

from __future__ import annotations

import logging

import numpy as np

from whisper_service.audio.pcm import Block, Samples

log = logging.getLogger(__name__)

#: Channels are compared over this much audio.
_COMPARED_S = 0.1
#: Channels cancel each other where their average has less than this share of their power, and do no more
#: where it has more than that share. 32 channels that have nothing to do with each other keep 1/32.
_CANCELS, _ADDS = 0.01, 0.1
#: Mean square of a channel below which nothing is said: -60 dB of full scale.
_SILENCE = 1e-6


class Downmix:
    """Averages the channels of one stream, or takes one of them where they cancel each other.

    Averaged, not summed as FFmpeg's mixer does (it has a gain of 1.41 from stereo to mono, and clips). A
    cable with one wire crossed, or a microphone that inverts one channel, makes silence of an average. So
    power is compared every 100 ms, counted from the first sample, and decides about what follows. The result
    depends on the samples alone, not on how they were cut.
    """

    def __init__(self) -> None:
        self._shape = (0, 0)  # rate and channels
        self._chosen: int | None = None
        self._begin_comparison()

    def mix(self, block: Block) -> Samples:
        """Return one channel, float32 ``(n,)``."""
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

"""The audio that may still be needed, on the stream's absolute sample clock."""

from __future__ import annotations

import numpy as np

from whisper_service.audio.pcm import Samples

#: Initial capacity: one window of 30 s at 16 kHz. It grows when a stream falls behind.
_INITIAL_SAMPLES = 480_000


class RollingBuffer:
    """Mono float32 samples ``[start, end)``. ``trim`` drops the oldest ones.

    :param start: position of the first sample that will be appended.
    """

    def __init__(self, start: int = 0) -> None:
        self._data: Samples = np.empty(_INITIAL_SAMPLES, dtype=np.float32)
        self.start = start
        self.end = start

    def append(self, pcm: Samples) -> None:
        """Append samples at ``end``."""
        kept = self.end - self.start
        if kept + pcm.shape[0] > self._data.shape[0]:
            grown = np.empty(max(2 * self._data.shape[0], kept + pcm.shape[0]), dtype=np.float32)
            grown[:kept] = self._data[:kept]
            self._data = grown
        self._data[kept : kept + pcm.shape[0]] = pcm
        self.end += pcm.shape[0]

    def read(self, start: int, end: int) -> Samples:
        """Return a copy of the samples ``[start, end)``, of shape ``(end - start,)``.

        :raises IndexError: if some of them have been dropped or have not come yet.
        """
        if not self.start <= start <= end <= self.end:
            raise IndexError(f"[{start}, {end}) is not in [{self.start}, {self.end})")
        return self._data[start - self.start : end - self.start].copy()

    def trim(self, before: int) -> None:
        """Drop the samples before ``before``."""
        drop = min(before, self.end) - self.start
        if drop <= 0:
            return
        kept = self.end - self.start - drop
        size = self._data.shape[0]
        if size > _INITIAL_SAMPLES and kept < _INITIAL_SAMPLES // 2:
            size = _INITIAL_SAMPLES
        source = self._data[drop : drop + kept]
        if size == self._data.shape[0]:
            self._data[:kept] = source.copy() if drop < kept else source
        else:
            self._data = np.concatenate([source, np.empty(size - kept, dtype=np.float32)])
        self.start += drop

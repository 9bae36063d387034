"""The audio that may still be needed, on the stream's absolute sample clock."""

from __future__ import annotations

import numpy as np

from whisper_service.audio.pcm import Samples

#: Least size of the array: one window of 30 s at 16 kHz.
_LEAST_SAMPLES = 480_000


class RollingBuffer:
    """Mono float32 samples ``[start, end)``. ``trim`` drops the oldest ones.

    A sample that has been written is never written over. So ``read`` needs no copy: the copies of two windows
    a second, each of many seconds, were a third of what a stream cost the hub. When the array is full, the
    samples that are kept move to a new one, which has room for as many again.

    :param start: position of the first sample that will be appended.
    """

    def __init__(self, start: int = 0) -> None:
        self._data: Samples = np.empty(_LEAST_SAMPLES, dtype=np.float32)
        self._origin = start  # position of the first sample of the array
        self.start = start
        self.end = start

    def append(self, pcm: Samples) -> None:
        """Append samples at ``end``."""
        if self.end - self._origin + pcm.shape[0] > self._data.shape[0]:
            self._move(room=pcm.shape[0])
        at = self.end - self._origin
        self._data[at : at + pcm.shape[0]] = pcm
        self.end += pcm.shape[0]

    def read(self, start: int, end: int) -> Samples:
        """Return the samples ``[start, end)``, of shape ``(end - start,)``. They stay as they are.

        The result is a view that must not be written to. It keeps its array in memory.

        :raises IndexError: if some of them have been dropped or have not come yet.
        """
        if not self.start <= start <= end <= self.end:
            raise IndexError(f"[{start}, {end}) is not in [{self.start}, {self.end})")
        return self._data[start - self._origin : end - self._origin]

    def trim(self, before: int) -> None:
        """Drop the samples before ``before``."""
        self.start = max(self.start, min(before, self.end))
        if self._data.shape[0] > _LEAST_SAMPLES and self.end - self.start < _LEAST_SAMPLES // 2:
            self._move(room=0)  # the backlog is over

    def _move(self, *, room: int) -> None:
        """Move the samples to a new array that has room for ``room`` more."""
        kept = self._data[self.start - self._origin : self.end - self._origin]
        size = max(_LEAST_SAMPLES, 2 * kept.shape[0], kept.shape[0] + room)
        self._data = np.empty(size, dtype=np.float32)
        self._data[: kept.shape[0]] = kept
        self._origin = self.start

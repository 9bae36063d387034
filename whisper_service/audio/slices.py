"""From a client's slices to one gapless 16 kHz stream."""

from __future__ import annotations

import numpy as np

from whisper_service.audio.decode import container_format, decode, decode_raw
from whisper_service.audio.pcm import Float32, Pcm
from whisper_service.audio.resample import Resampler
from whisper_service.audio.wav import is_wav
from whisper_service.config import RawFormat
from whisper_service.errors import UnsupportedAudio

#: Up to this size a WAV or raw slice is decoded and resampled within about a millisecond.
_QUICK_BYTES = 256 * 1024


class SliceReader:
    """Decodes slices and resamples them as one stream. Not safe for two threads at once.

    :param declared: format of the samples, where the client has declared one: then every slice is that.
    :param undeclared: format of slices that are no known file; None refuses them.
    """

    def __init__(self, *, declared: RawFormat | None, undeclared: RawFormat | None) -> None:
        self._declared = declared
        self._undeclared = undeclared
        self._resampler: Resampler | None = None

    def is_quick(self, data: bytes) -> bool:
        """Return whether ``read`` of ``data`` takes so little time that a hub may do it."""
        if len(data) > _QUICK_BYTES:
            return False
        return self._declared is not None or is_wav(data) or container_format(data) is None

    def read(self, data: bytes) -> Float32:
        """Return the samples that ``data`` adds to the stream, float32 ``(n_samples,)`` at 16 kHz.

        :raises AudioError: if it cannot be decoded.
        """
        pcm = self._decode(data)
        if self._resampler is None or self._resampler.rate != pcm.rate:
            head = self.flush()
            self._resampler = Resampler(pcm.rate)
            return np.concatenate([head, self._resampler.resample(pcm.samples)])
        return self._resampler.resample(pcm.samples)

    def flush(self) -> Float32:
        """Return what the resampler still holds back: the stream, or its sample rate, ends here."""
        if self._resampler is None:
            return np.zeros(0, dtype=np.float32)
        return self._resampler.flush()

    def _decode(self, data: bytes) -> Pcm:
        raw = self._declared
        if raw is None:
            if not data:
                raise UnsupportedAudio("An empty slice holds no audio.")
            if is_wav(data) or container_format(data) is not None or self._undeclared is None:
                return decode(data)
            raw = self._undeclared
        return decode_raw(data, encoding=raw.encoding, rate=raw.rate, channels=raw.channels)

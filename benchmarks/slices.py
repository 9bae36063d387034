"""Audio as the slices that RecordRTC makes in a browser."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator

from whisper_service.audio.pcm import Recording, float32_to_int16


def wav_slices(pcm: Recording, *, slice_ms: int) -> Iterator[bytes]:
    """Yield ``pcm`` as complete WAV files of ``slice_ms`` each."""
    size = max(1, pcm.rate * slice_ms // 1000)
    for start in range(0, pcm.samples.shape[0], size):
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(pcm.rate)
            writer.writeframes(float32_to_int16(pcm.samples[start : start + size]).tobytes())
        yield file.getvalue()

"""The log-mel spectrogram of one window, as Whisper was trained on it."""

from __future__ import annotations

import numpy as np
import torch
import whisper
from numpy.typing import NDArray
from torch import Tensor
from whisper.audio import N_SAMPLES


def window_features(pcm: NDArray[np.float32], *, n_mels: int, device: torch.device) -> Tensor:
    """Return the log-mel spectrogram of ``pcm``, float32 ``(n_mels, 3000)``.

    The audio is padded with zeros to 30 s before the spectrogram is taken. One window at a time:
    ``whisper.log_mel_spectrogram`` takes one maximum over a batch, so that a loud stream would change a
    quiet one.

    :param pcm: mono float32 in [-1, 1] at 16 kHz, at most 30 s, ``(n_samples,)``.
    Source: Radford et al. 2022, section 2.2.
    """
    window = np.zeros(N_SAMPLES, dtype=np.float32)
    window[: pcm.shape[0]] = pcm
    features: Tensor = whisper.log_mel_spectrogram(torch.from_numpy(window), n_mels, device=device)
    return features

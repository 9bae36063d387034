"""Log-mel spectrograms of growing windows: frames inside the window are kept for the next one of the stream.

Source: Radford et al. 2022, section 2.2; ``log_mel_spectrogram`` in whisper/audio.py of openai-whisper
20250625.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from whisper.audio import HOP_LENGTH, N_FFT, N_FRAMES, N_SAMPLES, mel_filters

from whisper_service.audio.pcm import Samples

#: A frame covers this many samples before its centre, and as many after it.
_REACH = N_FFT // 2
#: This many first frames of a window cover its reflection at the left edge. Other windows cannot use them.
_REFLECTED = -(-_REACH // HOP_LENGTH)
#: The value of a frame without sound: the logarithm of the smallest power that counts.
_SILENCE = -10.0
#: The largest number of streams whose frames are kept; up to 3.5 MB each, with their samples.
_STREAMS = 1024


class WindowAudio(NamedTuple):
    """One window.

    :param stream: the stream that the window belongs to.
    :param start: the window's first sample on the stream's 16 kHz clock.
    :param pcm: mono float32 in [-1, 1] at 16 kHz, at most 30 s, ``(n_samples,)``.
    """

    stream: str
    start: int
    pcm: Samples

    def up_to(self, length: int) -> WindowAudio:
        """Return the window as it was when it had ``length`` samples."""
        return self._replace(pcm=self.pcm[:length])


class _Kept(NamedTuple):
    """The frames of ``audio`` that need no padding. Frame ``i`` is centred on sample ``i * HOP_LENGTH``."""

    audio: WindowAudio
    frames: Tensor  # (n_frames, n_mels), from frame _REFLECTED on


class LogMel:
    """Computes spectrograms, and keeps for each stream the frames of its newest window.

    A spectrogram depends on its window alone: kept frames are used again only if the samples are the same.

    :param n_mels: 80 or 128.
    """

    def __init__(self, *, n_mels: int, device: torch.device) -> None:
        self._device = device
        self._filters = mel_filters(device, n_mels)  # (n_mels, N_FFT / 2 + 1)
        self._hann = torch.hann_window(N_FFT, device=device)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def windows(self, windows: Sequence[WindowAudio]) -> Tensor:
        """Return the spectrograms as Whisper was trained on them, float32 ``(B, n_mels, 3000)``.

        Each window is padded with zeros to 30 s, and clamped relative to its own maximum.
        ``whisper.log_mel_spectrogram`` takes one maximum over a batch, so a loud stream changes a quiet one.
        """
        known = [self._known(audio) for audio in windows]
        ends = [min(N_FRAMES, -(-(audio.pcm.shape[0] + _REACH) // HOP_LENGTH)) for audio in windows]
        pieces = [
            _frames(audio.pcm, range(_REFLECTED + frames.shape[0], end))
            for audio, frames, end in zip(windows, known, ends, strict=True)
        ]
        edges = [_frames(audio.pcm, range(_REFLECTED)) for audio in windows]
        computed = self._compute(np.concatenate([*edges, *pieces]))
        counts = [_REFLECTED] * len(windows) + [piece.shape[0] for piece in pieces]
        parts = torch.split(computed, counts)
        filled = torch.full((len(windows), N_FRAMES, self._filters.shape[0]), _SILENCE, device=self._device)
        for row, (audio, frames, end) in enumerate(zip(windows, known, ends, strict=True)):
            inner = torch.cat([frames, parts[len(windows) + row]])
            filled[row, :_REFLECTED] = parts[row]
            filled[row, _REFLECTED:end] = inner
            self._keep(audio, inner)
        loudest = filled.amax(dim=(1, 2), keepdim=True)
        scaled = (torch.maximum(filled, loudest - 8.0) + 4.0) / 4.0
        return scaled.transpose(1, 2).contiguous()

    def forget(self, stream: str) -> None:
        """Drop the kept frames of ``stream``."""
        self._kept.pop(stream, None)

    def _known(self, audio: WindowAudio) -> Tensor:
        """Return the kept frames of ``audio``, from frame _REFLECTED up to the first that is missing."""
        kept = self._kept.get(audio.stream)
        nothing = torch.empty(0, self._filters.shape[0], device=self._device)
        if kept is None:
            return nothing
        skipped = audio.start - kept.audio.start
        same = min(kept.audio.pcm.shape[0] - skipped, audio.pcm.shape[0])
        if skipped < 0 or skipped % HOP_LENGTH or same <= 0:
            return nothing
        if not np.array_equal(kept.audio.pcm[skipped : skipped + same], audio.pcm[:same]):
            return nothing
        return kept.frames[skipped // HOP_LENGTH :][: _whole(same)]

    def _keep(self, audio: WindowAudio, frames: Tensor) -> None:
        self._kept[audio.stream] = _Kept(audio, frames[: _whole(audio.pcm.shape[0])])
        self._kept.move_to_end(audio.stream)
        if len(self._kept) > _STREAMS:
            self._kept.popitem(last=False)

    def _compute(self, frames: Samples) -> Tensor:
        """Return the log-mel values, not yet clamped to a window's maximum, ``(n_frames, n_mels)``.

        :param frames: the samples of each frame, ``(n_frames, N_FFT)``.
        """
        samples = torch.from_numpy(frames)
        if self._device.type == "cuda":
            samples = samples.pin_memory()
        samples = samples.to(self._device, non_blocking=True)
        power = torch.fft.rfft(samples * self._hann).abs() ** 2  # (n_frames, N_FFT / 2 + 1)
        energies: Tensor = power @ self._filters.T
        return energies.clamp(min=1e-10).log10()


def _whole(samples: int) -> int:
    """Return how many frames from frame _REFLECTED on lie within the first ``samples`` samples."""
    return max(0, int((samples - _REACH) // HOP_LENGTH) + 1 - int(_REFLECTED))


def _frames(pcm: Samples, numbers: range) -> Samples:
    """Return the samples that frames cover, ``(len(numbers), N_FFT)``, of the window padded to 30 s.

    The padded window is reflected at both ends, as in ``torch.stft``.
    """
    if not numbers:
        return np.empty((0, N_FFT), dtype=np.float32)
    begin, end = numbers[0] * HOP_LENGTH - _REACH, numbers[-1] * HOP_LENGTH + _REACH
    samples = np.zeros(end - begin, dtype=np.float32)
    inside = pcm[max(0, begin) : end]
    samples[max(0, -begin) :][: inside.shape[0]] = inside
    if begin < 0:
        mirrored = np.zeros(_REACH, dtype=np.float32)
        source = pcm[1 : _REACH + 1]
        mirrored[: source.shape[0]] = source
        samples[:-begin] = mirrored[:-begin][::-1]
    if end > N_SAMPLES:
        beyond = end - N_SAMPLES
        mirrored = np.zeros(beyond, dtype=np.float32)
        source = pcm[N_SAMPLES - 1 - beyond : N_SAMPLES - 1]
        mirrored[: source.shape[0]] = source
        samples[-beyond:] = mirrored[::-1]
    frames = np.lib.stride_tricks.sliding_window_view(samples, N_FFT)[::HOP_LENGTH]
    return np.ascontiguousarray(frames)

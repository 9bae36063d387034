"""Synthetic sounds that are not speech, and distortions of speech on its way to the server."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.weights.talks import RATE, Samples
from whisper_service.audio.g711 import mu_law
from whisper_service.audio.resample import Resampler

SECONDS = 120
_TIMES = np.arange(SECONDS * RATE) / RATE


def _noise(slope: float) -> Samples:
    """Return noise whose power is proportional to ``1 / frequency ** (2 * slope)``."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(_TIMES.shape[0]))
    frequencies = np.maximum(1, np.arange(spectrum.shape[0]))
    noise = np.fft.irfft(spectrum / frequencies**slope, _TIMES.shape[0])
    return (0.5 * noise / np.abs(noise).max()).astype(np.float32)


def _music(notes: list[int], step_s: float, voice: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Samples:
    """Return a melody of decaying notes (MIDI numbers), like the music of a telephone line on hold."""
    music = np.zeros(_TIMES.shape[0], dtype=np.float32)
    step = round(step_s * RATE)
    for number in range(_TIMES.shape[0] // step):
        frequency = np.float64(440 * 2 ** ((notes[number % len(notes)] - 69) / 12))
        begin = number * step
        times = _TIMES[: min(2 * step, music.shape[0] - begin)]
        note = 0.15 * voice(frequency, times) * np.exp(-3 * times)
        music[begin : begin + times.shape[0]] += note.astype(np.float32)
    return music


def _sine(frequency: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * times)


def _organ(frequency: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.sum([_sine(frequency * n, times) / n for n in (1, 2, 3, 4, 6)], axis=0)


def _violin(frequency: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * times + 2 * np.sin(2 * np.pi * 5 * times))


#: Each sound is two minutes long.
SOUNDS: dict[str, Callable[[], Samples]] = {
    "white noise": lambda: _noise(0),
    "pink noise": lambda: _noise(0.5),
    "brown noise": lambda: _noise(1),
    "digital silence": lambda: np.zeros(_TIMES.shape[0], dtype=np.float32),
    "hum of 50 Hz": lambda: (
        0.2 * _sine(np.float64(50), _TIMES) + 0.1 * _sine(np.float64(150), _TIMES)
    ).astype(np.float32),
    "an arpeggio": lambda: _music([60, 64, 67, 72, 67, 64], 0.25, _sine),
    "an organ": lambda: _music([57, 60, 64, 69, 71, 72, 71, 69], 0.5, _organ),
    "a violin": lambda: _music([62, 66, 69, 74, 73, 69, 66, 64], 0.4, _violin),
}


def _quiet(samples: Samples) -> Samples:
    """Return the speech at a level of -40 dBFS (RMS), rounded to 16 bits."""
    level = np.sqrt(np.mean(samples**2))
    return (np.round(samples * (0.01 / level) * 32_768) / 32_768).astype(np.float32)


def _clipped(samples: Samples) -> Samples:
    """Return the speech 12 dB too loud, clipped at full scale."""
    loud = samples * (4 / np.abs(samples).max())
    return np.clip(loud, -1, 1).astype(np.float32)


def _telephone(samples: Samples) -> Samples:
    """Return the speech as a telephone transmits it: at 8 kHz, in mu-law."""
    down, up = Resampler(RATE, 8_000), Resampler(8_000)
    narrow = np.concatenate([down.resample(samples), down.flush()])
    levels = np.sort(mu_law())
    coded = levels[np.searchsorted(levels, narrow).clip(0, levels.shape[0] - 1)]
    return np.concatenate([up.resample(coded), up.flush()])


def _offset(samples: Samples) -> Samples:
    """Return the speech with a DC offset, as a cheap sound card records it."""
    return (samples + 0.1).astype(np.float32)


CONDITIONS: dict[str, Callable[[Samples], Samples]] = {
    "at -40 dBFS": _quiet,
    "clipped": _clipped,
    "over a telephone": _telephone,
    "with an offset": _offset,
}

"""Loads talks with their reference transcripts, and plays them into sessions on a simulated clock."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.scoring import Spoken
from whisper_service.audio.decode import decode
from whisper_service.config import StreamSettings
from whisper_service.engine.request import EngineInfo, Hypothesis, Request
from whisper_service.engine.runner import Runner
from whisper_service.events import Event
from whisper_service.model.checkpoints.find import find_checkpoint
from whisper_service.model.network.incremental import MARGINS, Margins
from whisper_service.model.speech.detector import SpeechDetector, SpeechState
from whisper_service.replay import settle
from whisper_service.session.session import Session

#: The demonstration model.
MODEL = str(Path(__file__).resolve().parents[1] / "models" / "micro.en.pt")
RATE = 16_000


@dataclass(frozen=True, slots=True)
class Talk:
    """Audio with its truth, the reference transcript.

    :param ends: when each utterance ends, in seconds.
    """

    name: str
    pcm: NDArray[np.float32]
    text: str
    words: list[Spoken]
    ends: list[float]


def load_talk(path: Path, truth_path: Path | None = None) -> Talk:
    """Read a FLAC file and its truth, by default from the JSON file of the same name beside it."""
    truth = json.loads((truth_path or path.with_suffix(".json")).read_text())
    words = [Spoken(word["word"], word["start"], word["end"]) for word in truth["words"]]
    ends = [segment["end"] for segment in truth["segments"]]
    return Talk(path.stem, decode(path.read_bytes()).samples, truth["text"], words, ends)


def mixed(talk: Talk, noise: NDArray[np.float32], *, snr_db: float) -> Talk:
    """Return the talk with ``noise`` mixed in, repeated to the same length.

    The powers of both are means over the whole length, pauses included.
    """
    under = np.resize(noise, talk.pcm.shape)
    power = float(np.mean(talk.pcm**2)) / max(float(np.mean(under**2)), 1e-12)
    return replace(talk, pcm=talk.pcm + under * np.float32((power / 10 ** (snr_db / 10)) ** 0.5))


class _Counting:
    """A runner that counts the windows that it decodes."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.max_batch = runner.max_batch
        self.windows = 0

    def info(self) -> EngineInfo:
        return self._runner.info()

    def forget(self, stream: str) -> None:
        self._runner.forget(stream)

    def run_batch(self, requests: Sequence[Request]) -> list[Hypothesis]:
        self.windows += len(requests)
        return self._runner.run_batch(requests)


class Player:
    """Plays audio into sessions on a simulated clock.

    :param margins: see ``Runner``.
    """

    def __init__(self, model: str = MODEL, dtype: str = "float32", margins: Margins | None = MARGINS) -> None:
        checkpoint = find_checkpoint(model, deadline_s=0)
        self._runner = _Counting(Runner.load(checkpoint, device="cpu", dtype=dtype, margins=margins))
        self._detector = SpeechDetector()

    def play(
        self, pcm: NDArray[np.float32], stream: StreamSettings, *, slice_ms: int = 500, grid_ms: int = 500
    ) -> Iterator[tuple[float, Event]]:
        """Yield each event of the stream, with its time in seconds of the stream's clock. Blocks.

        :param pcm: mono float32 at 16 kHz, ``(n_samples,)``.
        """
        runner = self._runner
        grid = grid_ms * RATE // 1000
        session = Session("talk", stream, grid_samples=grid, languages=runner.info().languages)
        size = slice_ms * RATE // 1000
        state = SpeechState()
        for start in range(0, pcm.shape[0], size):
            piece = pcm[start : start + size]
            speech = self._detector.probabilities([(state, piece)])[0]
            for event in settle(session, session.feed(piece, speech), runner):
                yield session.received / RATE, event
        for event in settle(session, session.finish(), runner):
            yield session.received / RATE, event

    @property
    def windows(self) -> int:
        """Number of windows decoded so far."""
        return self._runner.windows

"""Other engines, used as their documentation and the tutorials do, for live updates and for a file.

Each transcribes a window from its beginning at every update: none takes the last hypothesis. Their packages
(requirements-bench.txt) are imported where they are used: tests do without.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import whisper
from numpy.typing import NDArray

from benchmarks import openai_to_ggml

Samples = NDArray[np.float32]
#: Transcribes mono float32 at 16 kHz, ``(n_samples,)``.
Update = Callable[[Samples], str]


def rivals(model: whisper.Whisper, folder: Path) -> dict[str, Callable[[], Update]]:
    """Return what starts each engine with ``model``, by its name.

    One at a time: an engine at rest keeps its threads, and OpenMP slows down all (``model/cores.py``).

    :param folder: where converted checkpoints are written.
    """
    return {
        "openai-whisper": lambda: openai_whisper(model),
        "faster-whisper int8, beam 1": lambda: faster_whisper(model, folder, "int8", beam_size=1),
        "faster-whisper int8, beam 3": lambda: faster_whisper(model, folder, "int8", beam_size=3),
        "faster-whisper float32, beam 1": lambda: faster_whisper(model, folder, "float32", beam_size=1),
        "whisper.cpp": lambda: whisper_cpp(model, folder),
    }


def openai_whisper(model: whisper.Whisper) -> Update:
    """As the tutorials transcribe every slice."""

    def update(pcm: Samples) -> str:
        result = whisper.transcribe(
            model, pcm, language="en", temperature=0.0, condition_on_previous_text=False, fp16=False
        )
        return str(result["text"])

    return update


def faster_whisper(model: whisper.Whisper, folder: Path, kind: str, *, beam_size: int) -> Update:
    """With the same options; without its VAD, as ours is not counted either."""
    from faster_whisper import WhisperModel

    converted = _converted(model, folder, kind)
    fast = WhisperModel(str(converted), device="cpu", compute_type=kind, cpu_threads=_threads())

    def update(pcm: Samples) -> str:
        segments, _ = fast.transcribe(
            pcm, language="en", beam_size=beam_size, temperature=0.0, condition_on_previous_text=False
        )
        return "".join(segment.text for segment in segments)

    return update


def faster_whisper_batched(model: whisper.Whisper, folder: Path, kind: str) -> Update:
    """A file through ``BatchedInferencePipeline``: its own VAD, windows of up to 30 s, eight in a batch."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    converted = _converted(model, folder, kind)
    fast = WhisperModel(str(converted), device="cpu", compute_type=kind, cpu_threads=_threads())
    pipeline = BatchedInferencePipeline(fast)

    def update(pcm: Samples) -> str:
        segments, _ = pipeline.transcribe(pcm, language="en", beam_size=1, temperature=0.0, batch_size=8)
        return "".join(segment.text for segment in segments)

    return update


def whisper_cpp(model: whisper.Whisper, folder: Path) -> Update:
    """Through pywhispercpp, matrices in float16, greedily and once, as whisper.cpp's ``stream`` example.

    With timestamps it would hear the rest of a window again where the text has none at its end.
    """
    from pywhispercpp.model import Model

    path = folder / "model.bin"
    openai_to_ggml.convert(model, path)
    loaded = Model(
        str(path),
        n_threads=_threads(),
        print_progress=False,
        print_realtime=False,
        redirect_whispercpp_logs_to=os.devnull,
    )

    def update(pcm: Samples) -> str:
        segments = loaded.transcribe(
            pcm,
            language="en",
            temperature_inc=0.0,
            no_context=True,
            single_segment=True,
            no_timestamps=True,
        )
        return "".join(f" {segment.text}" for segment in segments)

    return update


def _converted(model: whisper.Whisper, folder: Path, kind: str) -> Path:
    from benchmarks import openai_to_ct2

    converted = folder / f"ct2-{kind}"
    if not converted.exists():
        openai_to_ct2.convert(model, converted, quantization=kind)
    return converted


def _threads() -> int:
    return len(os.sched_getaffinity(0))

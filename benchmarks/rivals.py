"""Other engines, called as their documentation and the tutorials call them, for live updates and for files.

At every update each of them transcribes the window from its beginning, because none takes the last
hypothesis. Their packages (requirements-bench.txt) are imported inside the functions, so that the tests need
none of them.
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
#: Returns the text of an audio window: mono float32 at 16 kHz, ``(n_samples,)``.
Update = Callable[[Samples], str]


def rivals(model: whisper.Whisper, folder: Path) -> dict[str, Callable[[], Update]]:
    """Return, by the name of each engine, a function that starts it with ``model``.

    Run one engine at a time: an idle engine keeps its threads, and then OpenMP slows down all engines
    (``model/network/cores.py``).

    :param folder: where converted checkpoints are written.
    """
    return {
        "openai-whisper": lambda: openai_whisper(model),
        "faster-whisper int8, beam 1": lambda: faster_whisper(model, folder, "int8", beam_size=1),
        "faster-whisper int8, beam 3": lambda: faster_whisper(model, folder, "int8", beam_size=3),
        "faster-whisper float32, beam 1": lambda: faster_whisper(model, folder, "float32", beam_size=1),
        "whisper.cpp": lambda: whisper_cpp(model, folder),
        "whisper.cpp, audio_ctx cut": lambda: whisper_cpp(model, folder, cut=True),
    }


def openai_whisper(model: whisper.Whisper) -> Update:
    """Return openai-whisper, called as the tutorials call it for every slice."""

    def update(pcm: Samples) -> str:
        result = whisper.transcribe(
            model, pcm, language="en", temperature=0.0, condition_on_previous_text=False, fp16=False
        )
        return str(result["text"])

    return update


def faster_whisper(model: whisper.Whisper, folder: Path, kind: str, *, beam_size: int) -> Update:
    """Return faster-whisper with the same options. Its VAD is off, because our times exclude ours."""
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
    """Return faster-whisper's ``BatchedInferencePipeline``, for files.

    It uses its own VAD, and windows of up to 30 s, eight in a batch.
    """
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    converted = _converted(model, folder, kind)
    fast = WhisperModel(str(converted), device="cpu", compute_type=kind, cpu_threads=_threads())
    pipeline = BatchedInferencePipeline(fast)

    def update(pcm: Samples) -> str:
        segments, _ = pipeline.transcribe(pcm, language="en", beam_size=1, temperature=0.0, batch_size=8)
        return "".join(segment.text for segment in segments)

    return update


def whisper_cpp(model: whisper.Whisper, folder: Path, *, cut: bool = False) -> Update:
    """Return whisper.cpp through pywhispercpp, with matrices in float16, as its ``stream`` example calls it.

    It decodes greedily and only once. With timestamps, it would decode the rest of a window again if the text
    has no timestamp at its end.

    :param cut: whether the encoder gets only the audio and a second of silence (``audio_ctx``), as users do
        who need speed. The model was trained with 30 s.
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
            audio_ctx=min(1500, pcm.shape[0] // 320 + 50) if cut else 0,
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

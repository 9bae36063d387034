"""Human talks with their true text, and openai-whisper's own transcripts of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import whisper
from numpy.typing import NDArray

from tests.weights.conftest import checkpoint
from whisper_service.files import read

Samples = NDArray[np.float32]

HUMAN = Path(__file__).resolve().parents[1] / "data" / "human"
RATE = 16_000


@dataclass(frozen=True, slots=True)
class HumanTalk:
    """A talk of a human voice.

    :param samples: 16 kHz mono, ``(n_samples,)``.
    """

    path: Path
    samples: Samples
    text: str


@cache
def human_talk(name: str) -> HumanTalk:
    """Return ``real-00`` (76 s) or ``real-04`` (25 s)."""
    path = HUMAN / f"{name}.flac"
    text = json.loads(path.with_suffix(".json").read_text())["text"]
    return HumanTalk(path, read(path), text)


@cache
def reference(name: str) -> whisper.Whisper:
    """Return openai-whisper's own model ``name``."""
    return whisper.load_model(str(checkpoint(name)), device="cpu")


@cache
def transcribed(model: str, talk: str) -> str:
    """Return the transcript of a talk by ``whisper.transcribe``."""
    samples = human_talk(talk).samples
    return str(whisper.transcribe(reference(model), samples, language="en", fp16=False)["text"])

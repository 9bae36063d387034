"""Converts an openai-whisper checkpoint to a ggml file, which whisper.cpp reads.

Layout (whisper.cpp, models/convert-pt-to-ggml.py): magic number, eleven hyperparameters (the last is
the type of the floats), mel filters, tokens as bytes in rank order, then each tensor as (number of
dimensions, length of its name, type, reversed shape, name, data). Tensors of one dimension, biases of
convolutions and positional embeddings stay float32.
"""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import numpy as np
import whisper
from torch import Tensor

_HYPERPARAMETERS = (
    "n_vocab",
    "n_audio_ctx",
    "n_audio_state",
    "n_audio_head",
    "n_audio_layer",
    "n_text_ctx",
    "n_text_state",
    "n_text_head",
    "n_text_layer",
    "n_mels",
)
_MAGIC = 0x67676D6C


def convert(model: whisper.Whisper, path: Path) -> None:
    """Write ``model`` to ``path`` with matrices in float16."""
    dims = model.dims
    filters = whisper.audio.mel_filters("cpu", dims.n_mels).numpy().astype(np.float32)
    vocabulary = _tokens(multilingual=model.is_multilingual)
    with path.open("wb") as out:
        out.write(_ints(_MAGIC, *(getattr(dims, key) for key in _HYPERPARAMETERS), 1))
        out.write(_ints(*filters.shape) + filters.tobytes())
        out.write(_ints(len(vocabulary)))
        out.write(b"".join(_ints(len(token)) + token for token in vocabulary))
        for name, value in model.state_dict().items():
            out.write(_tensor(name, value))


def _ints(*values: int) -> bytes:
    return struct.pack(f"{len(values)}i", *values)


def _tokens(*, multilingual: bool) -> list[bytes]:
    name = "multilingual" if multilingual else "gpt2"
    lines = (Path(whisper.__file__).parent / "assets" / f"{name}.tiktoken").read_bytes().splitlines()
    ranked = (
        (int(rank), base64.b64decode(token)) for token, rank in (line.split() for line in lines if line)
    )
    return [token for _, token in sorted(ranked)]


def _tensor(name: str, value: Tensor) -> bytes:
    data = value.squeeze().float().numpy()
    if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
        data = data.reshape(-1, 1)
    small = data.ndim < 2 or data.shape[-1] == 1 or name.endswith("positional_embedding")
    data = data.astype(np.float32 if small else np.float16)
    key = name.encode()
    head = _ints(data.ndim, len(key), int(not small), *data.shape[::-1])
    return bytes(head + key + data.tobytes())

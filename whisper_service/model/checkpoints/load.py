"""Reads a checkpoint of any supported format into a ``whisper.Whisper`` in float32.

This code runs in the native thread of the model in a gevent process. It uses no socket, lock, sleep,
subprocess or log: gevent has patched them, and the patched forms must not be used in that thread.
"""

from __future__ import annotations

from pathlib import Path

import torch
import whisper

from whisper_service.errors import ModelUnavailable
from whisper_service.model.checkpoints import ctranslate2, huggingface, openai
from whisper_service.model.checkpoints.checkpoint import Checkpoint
from whisper_service.model.checkpoints.state import NotWhisper, State, model_of
from whisper_service.model.network.device import does_not_fit


def load_model(checkpoint: Checkpoint) -> whisper.Whisper:
    """Return the model of ``checkpoint`` in float32 on the CPU, in evaluation mode and without gradients.

    Its alignment heads are those that the files list, else those of the official model of that name, else
    all heads in the upper half of the decoder. Blocks while it reads.

    :raises ModelUnavailable: if the files cannot be read, hold no Whisper, or do not fit into memory. If a
        tensor is wrong, the text names it.
    """
    try:
        state = _read(checkpoint.path)
        model = model_of(state)
    except MemoryError as error:
        raise does_not_fit(checkpoint.name, torch.device("cpu")) from error
    except NotWhisper as problem:
        raise ModelUnavailable(
            f"{checkpoint.path} cannot be loaded: {problem}. Set WHISPER_MODEL to another checkpoint, or to "
            "the name of an official model."
        ) from problem
    except OSError as error:
        raise ModelUnavailable(f"{checkpoint.path} cannot be read ({error.strerror or error}).") from error
    if state.heads is None and checkpoint.official:
        model.set_alignment_heads(whisper._ALIGNMENT_HEADS[checkpoint.name])
    return model


def has_rough_word_times(model: whisper.Whisper) -> bool:
    """Return whether the alignment heads of ``model`` are all heads in the upper half of the decoder.

    This is the default where no better heads are known, so word times are rough.
    """
    marked = model.alignment_heads.to_dense()
    upper = torch.zeros_like(marked)
    upper[marked.shape[0] // 2 :] = True
    return torch.equal(marked, upper)


def _read(path: Path) -> State:
    if path.is_file():
        return openai.read(path)
    if ctranslate2.is_one(path):
        return ctranslate2.read(path)
    if huggingface.is_one(path):
        return huggingface.read(path)
    raise NotWhisper(
        "the folder holds neither 'config.json' with 'model.safetensors' (Hugging Face) nor 'model.bin' "
        "(CTranslate2)"
    )

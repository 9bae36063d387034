"""Reads checkpoints in openai-whisper's own format: one file written by ``torch.save``.

It holds ``dims`` and ``model_state_dict``, and may hold ``alignment_heads`` as pairs of layer and head.
Reference: ``whisper.load_model``.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from whisper.model import ModelDimensions

from whisper_service.model.checkpoints.state import (
    NotWhisper,
    State,
    check_names,
    check_shape,
    heads_of,
    shapes,
    with_own_vocabulary,
)


def read(path: Path) -> State:
    """Return the contents of the checkpoint in the file ``path``. Blocks while it reads the weights.

    Only tensors, numbers and text are unpickled.

    :raises NotWhisper: if the file is no checkpoint, or a tensor is missing, unknown or of the wrong shape.
    :raises OSError: if the file cannot be read.
    """
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, LookupError, ValueError, pickle.PickleError) as error:
        raise NotWhisper("it is damaged, or no file of torch.save") from error
    if not isinstance(held, dict) or not {"dims", "model_state_dict"} <= held.keys():
        raise NotWhisper("it is no checkpoint in Whisper's own format ('dims' and 'model_state_dict')")
    dims, tensors = _dims(held["dims"]), held["model_state_dict"]
    if not isinstance(tensors, dict) or not all(isinstance(item, torch.Tensor) for item in tensors.values()):
        raise NotWhisper("its 'model_state_dict' holds something else than tensors")
    expected = shapes(dims)
    check_names(tensors, expected)
    for name, shape in expected.items():
        check_shape(name, tensors[name].shape, shape)
    return with_own_vocabulary(State(dims, tensors, heads_of(held.get("alignment_heads"))))


def _dims(values: Any) -> ModelDimensions:
    try:
        return ModelDimensions(**values)
    except TypeError as error:
        raise NotWhisper(f"its 'dims' are not Whisper's ({error})") from error

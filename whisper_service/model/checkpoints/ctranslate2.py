"""Reads folders in CTranslate2's format, the format of models for faster-whisper.

``model.bin`` holds the weights by name, in float32, float16, bfloat16, or as integers with scales.
``config.json`` holds the alignment heads and language ids.
Source: ``python/ctranslate2/specs/model_spec.py`` (``serialize``, ``quantize``) and ``whisper_spec.py``.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from whisper.model import ModelDimensions

from whisper_service.model.checkpoints.state import (
    NO_TIMESTAMPS,
    OWN_BY_NO_TIMESTAMPS,
    NotWhisper,
    State,
    check_names,
    check_shape,
    heads_of,
    read_json,
    shapes,
    with_own_vocabulary,
)

#: The file gives a dtype as an index into this tuple.
_DTYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
#: The version of the file's layout, unchanged since 2021.
_VERSION = 6
_EMBEDDING = "decoder/embeddings/weight"
#: The output projection: a second copy of the token embedding.
_PROJECTION = "decoder/projection/weight"
_NAMES = {
    "encoder.positional_embedding": "encoder/position_encodings/encodings",
    "decoder.positional_embedding": "decoder/position_encodings/encodings",
    "decoder.token_embedding.weight": _EMBEDDING,
    "encoder.ln_post": "encoder/layer_norm",
    "decoder.ln": "decoder/layer_norm",
    "encoder.conv1": "encoder/conv1",
    "encoder.conv2": "encoder/conv2",
}
_IN_BLOCKS = {
    "attn_ln": "self_attention/layer_norm",
    "attn.out": "self_attention/linear_1",
    "cross_attn_ln": "attention/layer_norm",
    "cross_attn.query": "attention/linear_0",
    "cross_attn.out": "attention/linear_2",
    "mlp_ln": "ffn/layer_norm",
    "mlp.0": "ffn/linear_0",
    "mlp.2": "ffn/linear_1",
}
#: CTranslate2 joins the projections that have the same input into one matrix.
_QKV = ("query", "key", "value")
_JOINED = {
    "attn": ("self_attention/linear_0", _QKV),
    "cross_attn": ("attention/linear_1", ("key", "value")),
}


def is_one(folder: Path) -> bool:
    """Return whether ``folder`` looks like this format."""
    return (folder / "model.bin").is_file()


def read(folder: Path) -> State:
    """Return the contents of the checkpoint in ``folder``. Float tensors stay on disk until they are used.

    :raises NotWhisper: if the folder holds no Whisper, a file is damaged, or a tensor is missing, unknown or
        of the wrong shape.
    :raises OSError: if a file cannot be read.
    """
    config = read_json(folder / "config.json")
    with (folder / "model.bin").open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # stays open as long as its tensors
        except ValueError as error:
            raise NotWhisper("model.bin is empty") from error
    try:
        variables = _variables(data)
    except (struct.error, UnicodeDecodeError, IndexError, ValueError) as error:
        raise NotWhisper(f"model.bin is damaged ({error})") from error
    dims = _dims(variables)
    tensors = _tensors(_rescaled(variables), shapes(dims))
    state = State(dims, tensors, heads_of(config.get("alignment_heads")))
    return with_own_vocabulary(state, _own_vocabulary(folder))


class _Reader:
    """Reads the file from its start to its end.

    :raises struct.error, UnicodeDecodeError, IndexError, ValueError: if the file ends early or is malformed.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def take(self, form: str) -> tuple[int, ...]:
        """Return the next little-endian numbers; ``form`` is a format string of ``struct``."""
        values = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return values

    def text(self) -> str:
        (size,) = self.take("H")
        self._at += size
        return self._data[self._at - size : self._at - 1].decode()

    def tensor(self, name: str) -> Tensor:
        """Return the next variable, which begins with its shape. The tensor shares the file's memory.

        :param name: its name, for error messages.
        """
        (rank,) = self.take("B")
        shape = self.take(f"{rank}I")
        kind, size = self.take("BI")
        dtype, count = _DTYPES[kind], math.prod(shape)
        begin, self._at = self._at, self._at + size
        if size != count * dtype.itemsize or self._at > len(self._data):
            raise ValueError(f"{name} has {size} bytes")
        if not count:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(self._data, dtype=dtype, count=count, offset=begin).view(shape)


def _variables(data: mmap.mmap) -> dict[str, Tensor]:
    """Return all variables of the file by name.

    :raises NotWhisper: if the file has another version or holds another kind of model.
    """
    reader = _Reader(data)
    (version,) = reader.take("I")
    if version != _VERSION:
        raise NotWhisper(f"model.bin has version {version} of CTranslate2's layout, not {_VERSION}")
    if (kind := reader.text()) != "WhisperSpec":
        raise NotWhisper(f"model.bin holds a {kind!r}")
    _, count = reader.take("II")
    variables: dict[str, Tensor] = {}
    for _ in range(count):
        name = reader.text()
        variables[name] = reader.tensor(name)
    (aliases,) = reader.take("I")
    for _ in range(aliases):
        alias, name = reader.text(), reader.text()
        if name not in variables:
            raise ValueError(f"{alias} is said to be {name}, which is not there")
        variables[alias] = variables[name]
        if f"{name}_scale" in variables:
            variables[f"{alias}_scale"] = variables[f"{name}_scale"]
    return variables


def _rescaled(variables: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights as floats: integers are divided by the scale of their row or their tensor."""
    weights: dict[str, Tensor] = {}
    for name, values in variables.items():
        if name.endswith("_scale") or not values.dim():
            continue  # a scale, or a scalar setting of the model
        if not values.is_floating_point():
            scale = variables.get(f"{name}_scale")
            if scale is None or scale.shape not in ((), values.shape[:1]):
                raise NotWhisper(f"{name} holds integers without a scale for each row")
            values = values.float() / scale.float().view(-1, *[1] * (values.dim() - 1))
        weights[name] = values
    return weights


def _dims(variables: dict[str, Tensor]) -> ModelDimensions:
    try:
        width, n_mels, _ = variables["encoder/conv1/weight"].shape
        n_vocab, _ = variables["decoder/embeddings/weight"].shape
        return ModelDimensions(
            n_mels=n_mels,
            n_audio_ctx=variables["encoder/position_encodings/encodings"].shape[0],
            n_audio_state=width,
            n_audio_head=int(variables["encoder/num_heads"]),
            n_audio_layer=_layers(variables, "encoder"),
            n_vocab=n_vocab,
            n_text_ctx=variables["decoder/position_encodings/encodings"].shape[0],
            n_text_state=width,
            n_text_head=int(variables["decoder/num_heads"]),
            n_text_layer=_layers(variables, "decoder"),
        )
    except KeyError as error:
        raise NotWhisper(f"it lacks {error.args[0]}") from error
    except (RuntimeError, ValueError) as error:
        raise NotWhisper(f"its first tensors have unknown shapes ({error})") from error


def _layers(names: Iterable[str], side: str) -> int:
    parts = [name.split("/") for name in names if name.startswith(f"{side}/layer_")]
    numbers = [part[1].removeprefix("layer_") for part in parts if len(part) > 2]
    return max((int(number) + 1 for number in numbers if number.isdigit()), default=0)


def _tensors(weights: dict[str, Tensor], expected: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    places = {name: _place(name) for name in expected}
    check_names(weights.keys() - {_PROJECTION}, {place.name for place in places.values()})
    tensors: dict[str, Tensor] = {}
    for name, shape in expected.items():
        place = places[name]
        values = weights[place.name]
        check_shape(place.name, values.shape, (place.parts * shape[0], *shape[1:]))
        tensors[name] = values.chunk(place.parts)[place.part]
        if place.parts == len(_QKV) and name.endswith("query.bias"):
            _check_keys(place.name, values.chunk(place.parts)[_QKV.index("key")])
    if _PROJECTION in weights and not torch.equal(weights[_PROJECTION], weights[_EMBEDDING]):
        raise NotWhisper(f"{_PROJECTION} is not the token embedding, as in every Whisper")
    return tensors


def _check_keys(name: str, bias: Tensor) -> None:
    if bias.any():
        raise NotWhisper(f"{name} has a bias for keys, which no Whisper has")


class _Place(NamedTuple):
    """Part number ``part`` of the variable ``name``, which consists of ``parts`` equal parts."""

    name: str
    part: int = 0
    parts: int = 1


def _place(name: str) -> _Place:
    """Return the place of the tensor that OpenAI calls ``name``."""
    module, _, kind = name.rpartition(".")
    if ".blocks." not in name:
        theirs = _NAMES.get(name) or f"{_NAMES[module]}/{kind}"
        return _Place(_with_norm(theirs, "ln" in module))
    side, _, number, module = module.split(".", 3)
    layer = f"{side}/layer_{number}"
    attention, _, projection = module.rpartition(".")
    joined, projections = _JOINED.get(attention, ("", ()))
    if projection in projections:
        return _Place(f"{layer}/{joined}/{kind}", projections.index(projection), len(projections))
    return _Place(_with_norm(f"{layer}/{_IN_BLOCKS[module]}/{kind}", module.endswith("ln")))


def _with_norm(name: str, is_norm: bool) -> str:
    if not is_norm:
        return name
    return (
        name.removesuffix("weight") + "gamma"
        if name.endswith("weight")
        else name.removesuffix("bias") + "beta"
    )


def _own_vocabulary(folder: Path) -> int | None:
    """Return the number of Whisper's own tokens, or None if the folder's vocabulary does not tell it."""
    for name in ("vocabulary.json", "vocabulary.txt"):
        path = folder / name
        if path.is_file():
            tokens = read_json(path) if name.endswith("json") else path.read_text("utf-8").splitlines()
            place = list(tokens).index(NO_TIMESTAMPS) if NO_TIMESTAMPS in tokens else None
            return OWN_BY_NO_TIMESTAMPS.get(place) if place else None
    return None

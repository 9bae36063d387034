"""Reads folders in Hugging Face's format, the format of fine-tuned models and distil-whisper.

``config.json`` holds the dimensions, ``model.safetensors`` (or several such files with an index) the weights,
and ``generation_config.json`` the alignment heads and token ids. Nothing is unpickled.
Reference: ``transformers/models/whisper/modeling_whisper.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from whisper.model import ModelDimensions
from whisper.tokenizer import LANGUAGES

from whisper_service.model.checkpoints.state import (
    OWN_BY_NO_TIMESTAMPS,
    VOCABULARIES,
    NotWhisper,
    State,
    check_names,
    check_shape,
    heads_of,
    read_json,
    shapes,
    with_own_vocabulary,
)

_INDEX = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
#: OpenAI's names and Hugging Face's. The longer names come first, because they are replaced in this order.
_NAMES = {
    "encoder.positional_embedding": "encoder.embed_positions.weight",
    "decoder.positional_embedding": "decoder.embed_positions.weight",
    "decoder.token_embedding": "decoder.embed_tokens",
    "encoder.ln_post": "encoder.layer_norm",
    "decoder.ln": "decoder.layer_norm",
    ".blocks.": ".layers.",
    ".cross_attn_ln": ".encoder_attn_layer_norm",
    ".cross_attn.": ".encoder_attn.",
    ".attn_ln": ".self_attn_layer_norm",
    ".attn.": ".self_attn.",
    ".mlp_ln": ".final_layer_norm",
    ".mlp.0": ".fc1",
    ".mlp.2": ".fc2",
    ".query": ".q_proj",
    ".key": ".k_proj",
    ".value": ".v_proj",
    ".out": ".out_proj",
}
#: The output projection, which some files hold: a second copy of the token embedding.
_PROJECTION = "proj_out.weight"
#: Settings that change the arithmetic, with Whisper's values.
_FIXED = {"activation_function": "gelu", "scale_embedding": False}
#: The end-of-text token of an English-only vocabulary.
_ENGLISH_EOT = 50_256


def is_one(folder: Path) -> bool:
    """Return whether ``folder`` looks like this format."""
    return (folder / "config.json").is_file() and any((folder / name).is_file() for name in (_INDEX, _WHOLE))


def read(folder: Path) -> State:
    """Return the contents of the checkpoint in ``folder``. Blocks while it reads the weights.

    :raises NotWhisper: if the folder holds no Whisper, a file is damaged, or a tensor is missing, unknown or
        of the wrong shape.
    :raises OSError: if a file cannot be read.
    """
    config = read_json(folder / "config.json")
    if config.get("model_type") != "whisper":
        raise NotWhisper(f"config.json says that it is a model of type {config.get('model_type')!r}")
    for name, value in _FIXED.items():
        if config.get(name, value) != value:
            raise NotWhisper(f"config.json has {name} as {config[name]!r}, which no Whisper has")
    dims = _dims(config)
    generation = folder / "generation_config.json"
    generate = read_json(generation) if generation.is_file() else {}
    n_vocab = _own_vocabulary(config, generate)
    _check_languages(generate, n_vocab)
    state = State(dims, _tensors(folder, dims), heads_of(generate.get("alignment_heads")))
    return with_own_vocabulary(state, n_vocab)


def _dims(config: Mapping[str, Any]) -> ModelDimensions:
    try:
        return ModelDimensions(
            n_mels=config["num_mel_bins"],
            n_audio_ctx=config["max_source_positions"],
            n_audio_state=config["d_model"],
            n_audio_head=config["encoder_attention_heads"],
            n_audio_layer=config["encoder_layers"],
            n_vocab=config["vocab_size"],
            n_text_ctx=config["max_target_positions"],
            n_text_state=config["d_model"],
            n_text_head=config["decoder_attention_heads"],
            n_text_layer=config["decoder_layers"],
        )
    except KeyError as error:
        raise NotWhisper(f"config.json has no {error}") from error


def _own_vocabulary(config: Mapping[str, Any], generate: Mapping[str, Any]) -> int | None:
    """Return the number of Whisper's own tokens, or None if the files do not tell it."""
    if (token := generate.get("no_timestamps_token_id")) in OWN_BY_NO_TIMESTAMPS:
        return OWN_BY_NO_TIMESTAMPS[token]
    return VOCABULARIES[0] if config.get("eos_token_id") == _ENGLISH_EOT else None


def _check_languages(generate: Mapping[str, Any], n_vocab: int | None) -> None:
    """Check that languages have the token ids of Whisper: a vocabulary in another order would be misread.

    :raises NotWhisper: if a language has another id, or Whisper does not have the language.
    """
    start = 50_259
    codes = list(LANGUAGES)[: 100 if n_vocab == VOCABULARIES[2] else 99]
    known = {f"<|{code}|>": start + number for number, code in enumerate(codes)}
    for name, token in (generate.get("lang_to_id") or {}).items():
        if known.get(name) != token:
            raise NotWhisper(f"generation_config.json has the language {name} as token {token}")


def _tensors(folder: Path, dims: ModelDimensions) -> dict[str, Tensor]:
    expected = shapes(dims)
    with ExitStack() as stack:
        found: dict[str, Any] = {}  # the open file of each tensor
        for path in _files(folder):
            try:
                file = stack.enter_context(safe_open(path, framework="pt"))
            except SafetensorError as error:
                raise NotWhisper(f"{path.name} is damaged ({error})") from error
            found |= dict.fromkeys(file.keys(), file)
        # transformers' plain WhisperModel has no such prefix; WhisperForConditionalGeneration has it.
        start = "model." if any(name.startswith("model.") for name in found) else ""
        names = {name: start + _theirs(name) for name in expected}
        check_names(found.keys() - {_PROJECTION}, names.values())
        for name, shape in expected.items():
            check_shape(names[name], found[names[name]].get_slice(names[name]).get_shape(), shape)
        tensors = {name: found[theirs].get_tensor(theirs) for name, theirs in names.items()}
        if _PROJECTION in found:
            projection = found[_PROJECTION].get_tensor(_PROJECTION)
            if not torch.equal(projection, tensors["decoder.token_embedding.weight"]):
                raise NotWhisper(f"{_PROJECTION} is not the token embedding, as in every Whisper")
        return tensors


def _files(folder: Path) -> list[Path]:
    if not (folder / _INDEX).is_file():
        return [folder / _WHOLE]
    listed = read_json(folder / _INDEX).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise NotWhisper(f"{_INDEX} lists no files")
    paths = [folder / Path(name).name for name in sorted(set(listed.values()))]
    for path in paths:
        if not path.is_file():
            raise NotWhisper(f"{path.name} is missing, which {_INDEX} lists")
    return paths


def _theirs(name: str) -> str:
    for ours, theirs in _NAMES.items():
        name = name.replace(ours, theirs)
    return name

"""Small Whisper models with random weights, and a writer for each checkpoint format.

The writers spell out the name of each tensor, so that they share no table with the readers.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from whisper.model import ModelDimensions, Whisper

Tensors = dict[str, Tensor]

#: English-only. Encoder and decoder have different numbers of layers, as in distil-whisper.
DIMS = ModelDimensions(80, 1500, 8, 2, 3, 51_864, 448, 8, 2, 2)
HEADS = [[0, 1], [1, 0]]


def random_model(dims: ModelDimensions = DIMS) -> Whisper:
    """Return a model in float32 whose weights float16 represents exactly."""
    torch.manual_seed(1)
    model = Whisper(dims)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_((torch.randn(tensor.shape) * 0.1).half())
        model.encoder.positional_embedding.copy_(model.encoder.positional_embedding.half())
    return model.eval()


def write_openai(model: Whisper, path: Path, **more: Any) -> Path:
    torch.save({"dims": vars(model.dims), "model_state_dict": model.state_dict(), **more}, path)
    return path


# --- Hugging Face


def _hf_attention(state: Mapping[str, Tensor], ours: str, theirs: str) -> Tensors:
    return {
        f"{theirs}.q_proj.weight": state[f"{ours}.query.weight"],
        f"{theirs}.q_proj.bias": state[f"{ours}.query.bias"],
        f"{theirs}.k_proj.weight": state[f"{ours}.key.weight"],
        f"{theirs}.v_proj.weight": state[f"{ours}.value.weight"],
        f"{theirs}.v_proj.bias": state[f"{ours}.value.bias"],
        f"{theirs}.out_proj.weight": state[f"{ours}.out.weight"],
        f"{theirs}.out_proj.bias": state[f"{ours}.out.bias"],
    }


def huggingface_tensors(model: Whisper) -> Tensors:
    """Return the weights under Hugging Face's names."""
    state = model.state_dict()

    def both(ours: str, theirs: str) -> Tensors:
        return {f"{theirs}.{kind}": state[f"{ours}.{kind}"] for kind in ("weight", "bias")}

    tensors = {
        "model.encoder.embed_positions.weight": state["encoder.positional_embedding"],
        "model.decoder.embed_positions.weight": state["decoder.positional_embedding"],
        "model.decoder.embed_tokens.weight": state["decoder.token_embedding.weight"],
        **both("encoder.conv1", "model.encoder.conv1"),
        **both("encoder.conv2", "model.encoder.conv2"),
        **both("encoder.ln_post", "model.encoder.layer_norm"),
        **both("decoder.ln", "model.decoder.layer_norm"),
    }
    for side, layers in (("encoder", model.dims.n_audio_layer), ("decoder", model.dims.n_text_layer)):
        for number in range(layers):
            ours, theirs = f"{side}.blocks.{number}", f"model.{side}.layers.{number}"
            tensors |= _hf_attention(state, f"{ours}.attn", f"{theirs}.self_attn")
            tensors |= both(f"{ours}.attn_ln", f"{theirs}.self_attn_layer_norm")
            tensors |= both(f"{ours}.mlp.0", f"{theirs}.fc1") | both(f"{ours}.mlp.2", f"{theirs}.fc2")
            tensors |= both(f"{ours}.mlp_ln", f"{theirs}.final_layer_norm")
            if side == "decoder":
                tensors |= _hf_attention(state, f"{ours}.cross_attn", f"{theirs}.encoder_attn")
                tensors |= both(f"{ours}.cross_attn_ln", f"{theirs}.encoder_attn_layer_norm")
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def write_huggingface(
    model: Whisper,
    folder: Path,
    tensors: Tensors | None = None,
    *,
    shards: int = 1,
    config: Mapping[str, Any] | None = None,
    generation: Mapping[str, Any] | None = None,
) -> Path:
    """Write a folder and return it. ``config`` and ``generation`` override values in its JSON files."""
    folder.mkdir()
    dims = model.dims
    multilingual = dims.n_vocab >= 51_865
    shape = {
        "model_type": "whisper",
        "activation_function": "gelu",
        "d_model": dims.n_audio_state,
        "encoder_layers": dims.n_audio_layer,
        "encoder_attention_heads": dims.n_audio_head,
        "decoder_layers": dims.n_text_layer,
        "decoder_attention_heads": dims.n_text_head,
        "num_mel_bins": dims.n_mels,
        "max_source_positions": dims.n_audio_ctx,
        "max_target_positions": dims.n_text_ctx,
        "vocab_size": dims.n_vocab,
        "eos_token_id": 50_257 if multilingual else 50_256,
    }
    (folder / "config.json").write_text(json.dumps(shape | dict(config or {})))
    (folder / "generation_config.json").write_text(
        json.dumps({"alignment_heads": HEADS} | dict(generation or {}))
    )
    tensors = tensors or huggingface_tensors(model)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names = sorted(tensors)
    where = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        mine = names[shard::shards]
        save_file({name: tensors[name] for name in mine}, folder / file)
        where |= dict.fromkeys(mine, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


# --- CTranslate2


def ctranslate2_tensors(model: Whisper) -> Tensors:
    """Return the weights under CTranslate2's names."""
    state = model.state_dict()

    def both(ours: str, theirs: str) -> Tensors:
        return {f"{theirs}/weight": state[f"{ours}.weight"], f"{theirs}/bias": state[f"{ours}.bias"]}

    def norm(ours: str, theirs: str) -> Tensors:
        return {f"{theirs}/gamma": state[f"{ours}.weight"], f"{theirs}/beta": state[f"{ours}.bias"]}

    def joined(attention: str, names: list[str], theirs: str) -> Tensors:
        weights = [state[f"{attention}.{name}.weight"] for name in names]
        none = torch.zeros(weights[0].shape[0])  # the projection of the keys has no bias
        return {
            f"{theirs}/weight": torch.cat(weights),
            f"{theirs}/bias": torch.cat([state.get(f"{attention}.{name}.bias", none) for name in names]),
        }

    tensors = {
        "encoder/position_encodings/encodings": state["encoder.positional_embedding"],
        "decoder/position_encodings/encodings": state["decoder.positional_embedding"],
        "decoder/embeddings/weight": state["decoder.token_embedding.weight"],
        **both("encoder.conv1", "encoder/conv1"),
        **both("encoder.conv2", "encoder/conv2"),
        **norm("encoder.ln_post", "encoder/layer_norm"),
        **norm("decoder.ln", "decoder/layer_norm"),
    }
    for side, layers in (("encoder", model.dims.n_audio_layer), ("decoder", model.dims.n_text_layer)):
        for number in range(layers):
            ours, theirs = f"{side}.blocks.{number}", f"{side}/layer_{number}"
            own, cross = f"{theirs}/self_attention", f"{theirs}/attention"
            tensors |= joined(f"{ours}.attn", ["query", "key", "value"], f"{own}/linear_0")
            tensors |= both(f"{ours}.attn.out", f"{own}/linear_1")
            tensors |= norm(f"{ours}.attn_ln", f"{own}/layer_norm")
            tensors |= norm(f"{ours}.mlp_ln", f"{theirs}/ffn/layer_norm")
            tensors |= both(f"{ours}.mlp.0", f"{theirs}/ffn/linear_0")
            tensors |= both(f"{ours}.mlp.2", f"{theirs}/ffn/linear_1")
            if side == "decoder":
                tensors |= both(f"{ours}.cross_attn.query", f"{cross}/linear_0")
                tensors |= joined(f"{ours}.cross_attn", ["key", "value"], f"{cross}/linear_1")
                tensors |= both(f"{ours}.cross_attn.out", f"{cross}/linear_2")
                tensors |= norm(f"{ours}.cross_attn_ln", f"{cross}/layer_norm")
    return tensors


def in_eight_bits(tensors: Tensors) -> Tensors:
    """Return the matrices as int8 with a scale for each row, as ``ct2 --quantization int8`` writes them."""
    result = dict(tensors)
    for name, tensor in tensors.items():
        if name.endswith("/weight"):
            rows = tensor.float().flatten(1)
            scale = 127 / rows.abs().amax(1)
            result[name] = (rows * scale[:, None]).round().to(torch.int8).view(tensor.shape)
            result[f"{name}_scale"] = scale
    return result


_DTYPES = [torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16]


def _string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def write_ctranslate2(
    model: Whisper,
    folder: Path,
    tensors: Tensors | None = None,
    *,
    kind: str = "WhisperSpec",
    version: int = 6,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write a folder and return it. ``config`` overrides values in its ``config.json``."""
    folder.mkdir()
    tensors = dict(tensors or ctranslate2_tensors(model))
    tensors["encoder/num_heads"] = torch.tensor(model.dims.n_audio_head, dtype=torch.int16)
    tensors["decoder/num_heads"] = torch.tensor(model.dims.n_text_head, dtype=torch.int16)
    tensors["decoder/pre_norm"] = torch.tensor(1, dtype=torch.int8)
    data = struct.pack("<I", version) + _string(kind) + struct.pack("<II", 3, len(tensors))
    for name, tensor in tensors.items():
        raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        data += _string(name) + struct.pack(f"<B{tensor.dim()}I", tensor.dim(), *tensor.shape)
        data += struct.pack("<BI", _DTYPES.index(tensor.dtype), len(raw)) + raw
    data += struct.pack("<I", 1) + _string("decoder/projection/weight") + _string("decoder/embeddings/weight")
    (folder / "model.bin").write_bytes(data)
    (folder / "config.json").write_text(json.dumps({"alignment_heads": HEADS} | dict(config or {})))
    return folder

"""Converts an openai-whisper checkpoint to a CTranslate2 folder, which faster-whisper loads without a hub.

Needs ``ctranslate2`` and ``tokenizers``. Writes model.bin, config.json, vocabulary.json, tokenizer.json and
preprocessor_config.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import whisper
from ctranslate2.specs import whisper_spec
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from whisper.tokenizer import get_tokenizer

from benchmarks.byte_pairs import byte_pairs

State = dict[str, NDArray[np.float32]]


def convert(model: whisper.Whisper, folder: Path, *, quantization: str) -> None:
    """Write ``model`` into ``folder``.

    :param quantization: ``float32``, ``float16`` or ``int8``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dims = model.dims
    # Copies, because quantizing writes into the arrays.
    state = {name: value.float().clone().numpy() for name, value in model.state_dict().items()}
    spec = whisper_spec.WhisperSpec(
        dims.n_audio_layer, dims.n_audio_head, dims.n_text_layer, dims.n_text_head
    )
    encoder, decoder = spec.encoder, spec.decoder
    for name in ("conv1", "conv2"):
        convolution = getattr(encoder, name)
        convolution.weight = state[f"encoder.{name}.weight"]
        convolution.bias = state[f"encoder.{name}.bias"]
    encoder.position_encodings.encodings = state["encoder.positional_embedding"]
    _norm(encoder.layer_norm, state, "encoder.ln_post")
    for number, layer in enumerate(encoder.layer):
        _block(layer, state, f"encoder.blocks.{number}.", cross=False)
    decoder.embeddings.weight = state["decoder.token_embedding.weight"]
    decoder.position_encodings.encodings = state["decoder.positional_embedding"]
    _norm(decoder.layer_norm, state, "decoder.ln")
    decoder.projection.weight = state["decoder.token_embedding.weight"]
    for number, layer in enumerate(decoder.layer):
        _block(layer, state, f"decoder.blocks.{number}.", cross=True)
    _vocabulary(spec, model, folder)
    spec.validate()
    spec.optimize(quantization=None if quantization == "float32" else quantization)
    spec.save(str(folder))
    features = {
        "feature_size": dims.n_mels,
        "sampling_rate": 16_000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(features))


def _linear(spec: Any, state: State, *names: str) -> None:
    """Fill a linear layer from the layers ``names``, joined along the output. A missing bias is zero."""
    spec.weight = np.concatenate([state[f"{name}.weight"] for name in names])
    if any(f"{name}.bias" in state for name in names):
        spec.bias = np.concatenate(
            [
                state.get(f"{name}.bias", np.zeros(state[f"{name}.weight"].shape[0], np.float32))
                for name in names
            ]
        )


def _norm(spec: Any, state: State, name: str) -> None:
    spec.gamma, spec.beta = state[f"{name}.weight"], state[f"{name}.bias"]


def _block(spec: Any, state: State, place: str, *, cross: bool) -> None:
    _norm(spec.self_attention.layer_norm, state, f"{place}attn_ln")
    joined = [f"{place}attn.{name}" for name in ("query", "key", "value")]
    _linear(spec.self_attention.linear[0], state, *joined)
    _linear(spec.self_attention.linear[1], state, f"{place}attn.out")
    if cross:
        _norm(spec.attention.layer_norm, state, f"{place}cross_attn_ln")
        _linear(spec.attention.linear[0], state, f"{place}cross_attn.query")
        _linear(spec.attention.linear[1], state, f"{place}cross_attn.key", f"{place}cross_attn.value")
        _linear(spec.attention.linear[2], state, f"{place}cross_attn.out")
    _norm(spec.ffn.layer_norm, state, f"{place}mlp_ln")
    _linear(spec.ffn.linear_0, state, f"{place}mlp.0")
    _linear(spec.ffn.linear_1, state, f"{place}mlp.2")


def _vocabulary(spec: Any, model: whisper.Whisper, folder: Path) -> None:
    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    vocabulary, merges = byte_pairs(multilingual=model.is_multilingual)
    by_id = sorted(tokenizer.encoding._special_tokens.items(), key=lambda item: item[1])
    special = [name for name, _ in by_id]
    tokens = [token for token, _ in sorted(vocabulary.items(), key=lambda item: item[1])] + special
    tokens += [f"<|unused{number}|>" for number in range(len(tokens), model.dims.n_vocab)]
    spec.register_vocabulary(tokens)
    never = {tokenizer.transcribe, tokenizer.translate, tokenizer.sot, tokenizer.sot_prev, tokenizer.sot_lm}
    spec.config.suppress_ids = sorted({*tokenizer.non_speech_tokens, *never, tokenizer.no_speech})
    spec.config.suppress_ids_begin = [*tokenizer.encode(" "), tokenizer.eot]
    spec.config.lang_ids = list(tokenizer.all_language_tokens)
    spec.config.alignment_heads = [
        [int(layer), int(head)] for layer, head in model.alignment_heads.indices().T
    ]
    fast = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
    example = " This is a test, isn't it?"
    assert fast.encode(example).ids == tokenizer.encode(example)
    fast.save(str(folder / "tokenizer.json"))

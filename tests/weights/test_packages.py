"""Folders that the real packages have written give the same tokens as these packages.

``transformers`` writes Hugging Face's format. CTranslate2's converter for it is the one that faster-whisper
uses.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from whisper.tokenizer import get_tokenizer

from benchmarks.byte_pairs import byte_pairs
from tests.weights.conftest import checkpoint
from tests.weights.talks import human_talk
from whisper_service.engine.request import Kind, Request
from whisper_service.engine.runner import Runner
from whisper_service.model.checkpoints.find import find_checkpoint
from whisper_service.model.checkpoints.load import load_model

pytestmark = [
    pytest.mark.weights,
    pytest.mark.brief,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # the warnings of other packages
]

#: The samples that are transcribed: the first utterance of a talk.
_SAMPLES = slice(0, 8 * 16_000)
#: The number of tokens that are compared. The text of a decoder with two layers has no end.
_TOKENS = 16
_ENGLISH_START = [50_257, 50_362]


def _copy(layer: nn.Module, state: dict[str, torch.Tensor], name: str) -> None:
    for kind, tensor in layer.named_parameters(recurse=False):
        tensor.data = state[f"{name}.{kind}"].float().clone()


def _copy_attention(layer: Any, state: dict[str, torch.Tensor], name: str) -> None:
    for theirs, ours in (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("out_proj", "out")):
        _copy(getattr(layer, theirs), state, f"{name}.{ours}")


def _as_transformers(name: str, decoder_layers: tuple[int, ...]) -> Any:
    """Return OpenAI's model ``name`` as a model of ``transformers``, with these layers of its decoder."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    held = torch.load(checkpoint(name), weights_only=True)
    dims, state = held["dims"], held["model_state_dict"]
    width = dims["n_audio_state"]
    config = WhisperConfig(
        vocab_size=dims["n_vocab"], num_mel_bins=dims["n_mels"], d_model=width,
        encoder_layers=dims["n_audio_layer"], encoder_attention_heads=dims["n_audio_head"],
        decoder_layers=len(decoder_layers), decoder_attention_heads=dims["n_text_head"],
        encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width,
        bos_token_id=50_256, eos_token_id=50_256, pad_token_id=50_256, decoder_start_token_id=50_257,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    encoder, decoder = model.model.encoder, model.model.decoder
    for side, stack, layers in (
        ("encoder", encoder, range(dims["n_audio_layer"])),
        ("decoder", decoder, decoder_layers),
    ):
        stack.embed_positions.weight.data = state[f"{side}.positional_embedding"].float().clone()
        for layer, number in zip(stack.layers, layers, strict=True):
            block = f"{side}.blocks.{number}"
            _copy_attention(layer.self_attn, state, f"{block}.attn")
            _copy(layer.self_attn_layer_norm, state, f"{block}.attn_ln")
            _copy(layer.fc1, state, f"{block}.mlp.0")
            _copy(layer.fc2, state, f"{block}.mlp.2")
            _copy(layer.final_layer_norm, state, f"{block}.mlp_ln")
            if side == "decoder":
                _copy_attention(layer.encoder_attn, state, f"{block}.cross_attn")
                _copy(layer.encoder_attn_layer_norm, state, f"{block}.cross_attn_ln")
    _copy(encoder.conv1, state, "encoder.conv1")
    _copy(encoder.conv2, state, "encoder.conv2")
    _copy(encoder.layer_norm, state, "encoder.ln_post")
    _copy(decoder.layer_norm, state, "decoder.ln")
    _copy(decoder.embed_tokens, state, "decoder.token_embedding")
    model.tie_weights()
    generation = model.generation_config
    generation.no_timestamps_token_id = 50_362
    generation.is_multilingual = False
    heads = held["alignment_heads"]
    generation.alignment_heads = heads if len(decoder_layers) == dims["n_text_layer"] else [[1, 0], [1, 2]]
    return model


def _never() -> list[int]:
    """Return the tokens that Whisper's own decoding suppresses in every text."""
    tokenizer = get_tokenizer(multilingual=False)
    specials = [tokenizer.sot, tokenizer.sot_prev, tokenizer.sot_lm, tokenizer.no_speech]
    return sorted({*tokenizer.non_speech_tokens, *specials, tokenizer.transcribe, tokenizer.translate})


def _features() -> Any:
    from transformers import WhisperFeatureExtractor

    samples = human_talk("real-00").samples[_SAMPLES]
    return WhisperFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt").input_features


def _write_vocabulary(folder: Path) -> None:
    """Write the vocabulary of an English-only Whisper. The converter takes it from the hub's tokenizer."""
    tokenizer = get_tokenizer(multilingual=False)
    vocabulary, _ = byte_pairs(multilingual=False)
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    special = tokenizer.encoding._special_tokens
    words += sorted(special, key=special.__getitem__)
    (folder / "vocabulary.json").write_text(json.dumps(words))


def _ours(path: Path) -> list[int]:
    runner = Runner.load(find_checkpoint(str(path), deadline_s=0), device="cpu", dtype="float32")
    request = Request("s", 1, Kind.FINAL, 0, human_talk("real-00").samples[_SAMPLES], language="en")
    return [token for word in runner.run(request).words for token in word.tokens][:_TOKENS]


def _theirs(model: Any) -> list[int]:
    with torch.inference_mode():
        (tokens,) = model.generate(
            _features(),
            num_beams=1,
            do_sample=False,
            max_new_tokens=_TOKENS,
            suppress_tokens=_never(),
            begin_suppress_tokens=[220, 50_256],
            return_timestamps=False,
        )
    return [token for token in tokens.tolist() if token < 50_256][:_TOKENS]


@pytest.mark.parametrize("layers", [(0, 1, 2, 3), (0, 3)], ids=["tiny.en", "distil's shape"])
@pytest.mark.parametrize("size", ["5GB", "40MB"], ids=["one file", "shards"])
def test_a_folder_of_transformers_gives_its_tokens(
    layers: tuple[int, ...], size: str, tmp_path: Path
) -> None:
    model = _as_transformers("tiny.en", layers)
    model.save_pretrained(tmp_path, max_shard_size=size)
    assert len(list(tmp_path.glob("*.safetensors"))) == (1 if size == "5GB" else 3)
    ours = load_model(find_checkpoint(str(tmp_path), deadline_s=0))
    features, tokens = _features(), torch.tensor([[*_ENGLISH_START, 383, 338, 6953]])
    with torch.inference_mode():
        theirs = model(input_features=features, decoder_input_ids=tokens).logits
        torch.testing.assert_close(ours(features, tokens), theirs, atol=1e-3, rtol=1e-4)
    assert _ours(tmp_path) == _theirs(model)


@pytest.mark.parametrize("quantization", [None, "float16", "int8", "int16"])
def test_a_folder_of_faster_whispers_converter_gives_its_tokens(
    quantization: str | None, tmp_path: Path
) -> None:
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    _as_transformers("tiny.en", (0, 1, 2, 3)).save_pretrained(tmp_path / "hf")
    folder = tmp_path / "ct2"
    TransformersConverter(str(tmp_path / "hf")).convert(str(folder), quantization=quantization)
    _write_vocabulary(folder)
    # CTranslate2 also computes in float32, with weights from the same integers.
    model = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32")
    features = ctranslate2.StorageView.from_array(np.ascontiguousarray(_features().numpy()))
    (result,) = model.generate(
        features, [_ENGLISH_START], beam_size=1, max_length=2 * _TOKENS, suppress_tokens=_never()
    )
    (theirs,) = result.sequences_ids
    assert _ours(folder) == theirs[:_TOKENS]

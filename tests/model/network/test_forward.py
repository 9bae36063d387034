"""Our forward passes, compared with openai-whisper's, for the shapes of all released architectures.

The random weights are seeded and scaled. The text is teacher-forced: a random Whisper repeats one token for
ever, so equal tokens would prove nothing. Shallow variants have two layers. The full shapes are marked slow.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
from whisper.model import ModelDimensions, Whisper

from whisper_service.model.network.cache import DecoderCache
from whisper_service.model.network.decoder import Decoder
from whisper_service.model.network.encoder import encode
from whisper_service.model.network.precision import Precision
from whisper_service.model.network.weights import decoder_weights, encoder_weights

#: In this order: n_mels, n_audio_ctx, n_audio_state, n_audio_head, n_audio_layer, n_vocab, n_text_ctx,
#: n_text_state, n_text_head, n_text_layer.
SHAPES = {
    "tiny": ModelDimensions(80, 1500, 384, 6, 4, 51865, 448, 384, 6, 4),
    "base.en": ModelDimensions(80, 1500, 512, 8, 6, 51864, 448, 512, 8, 6),
    "small": ModelDimensions(80, 1500, 768, 12, 12, 51865, 448, 768, 12, 12),
    "large-v3": ModelDimensions(128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 32),
    "turbo": ModelDimensions(128, 1500, 1280, 20, 32, 51866, 448, 1280, 20, 4),
}
TOLERANCE = 1e-3
CPU = torch.device("cpu")


def _seeded(dims: ModelDimensions) -> Whisper:
    model = Whisper(dims).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "ln" in name and name.endswith("weight"):
            parameter.fill_(1.0)
        else:
            parameter.normal_(std=0.02, generator=generator)
    return model


def _decoder(model: Whisper) -> Decoder:
    return Decoder(decoder_weights(model, Precision.FLOAT32, CPU), audio_positions=1500)


def _opened(decoder: Decoder, audio: torch.Tensor, *, capacity: int) -> DecoderCache:
    cache = decoder.open(audio.shape[0], capacity=capacity)
    for row, encoded in enumerate(audio):
        cache.hear(row, decoder.project(encoded[None])[0].permute(2, 1, 3, 0, 4))
    return cache


def _check(dims: ModelDimensions) -> None:
    model = _seeded(dims)
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(2, dims.n_mels, 3000, generator=generator)
    tokens = torch.randint(0, dims.n_vocab, (2, 23), generator=generator)
    with torch.inference_mode():
        expected_audio = model.encoder(features)
        audio = encode(encoder_weights(model, Precision.FLOAT32, CPU), features)
        assert (audio - expected_audio).abs().max() < TOLERANCE
        expected = model.decoder(tokens, expected_audio)
        decoder = _decoder(model)
        # Row 0 gets pieces of 9, 1 and 7 tokens, row 1 gets 4, 1 and 12. The shorter of two pieces is padded.
        # Each row continues at its own position.
        cache = _opened(decoder, audio, capacity=40)
        found = torch.zeros(2, 17, dims.n_vocab)
        for counts in ([9, 4], [1, 1], [7, 12]):
            begins = list(cache.lengths)
            padded = torch.zeros(2, max(counts), dtype=torch.int64)
            for row, (begin, count) in enumerate(zip(begins, counts, strict=True)):
                padded[row, :count] = tokens[row, begin : begin + count]
            hidden, attention = decoder.forward(padded, counts, cache)
            logits = decoder.logits.full(hidden)
            for row, (begin, count) in enumerate(zip(begins, counts, strict=True)):
                found[row, begin : begin + count] = logits[row, :count]
            assert attention.shape == (2, int(model.alignment_heads.to_dense().sum()), max(counts), 1500)
        assert cache.lengths == [17, 17]
        assert (found - expected[:, :17]).abs().max() < TOLERANCE
        # Row 1, now the only row of the cache, continues at its own position.
        cache.keep([1])
        hidden, _ = decoder.forward(tokens[1:, 17:20], [3], cache)
        assert (decoder.logits.full(hidden) - expected[1:, 17:20]).abs().max() < TOLERANCE
        assert expected.std() > 10 * TOLERANCE  # otherwise the comparison would prove little


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "turbo"])
def test_shallow_variants(name: str) -> None:
    """With two layers, turbo has the shape of large-v3."""
    _check(dataclasses.replace(SHAPES[name], n_audio_layer=2, n_text_layer=2))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_full_shapes(name: str) -> None:
    _check(SHAPES[name])


def test_a_rejected_draft_leaves_nothing_behind(model: Whisper) -> None:
    """Tokens after a truncation get the logits that they get without the truncated tokens."""
    decoder = _decoder(model)
    audio = torch.randn(1, 1500, model.dims.n_audio_state, generator=torch.Generator().manual_seed(3))
    text = torch.tensor([[50257, 50362, 300, 400, 500]])

    def logits(*, spoilt: bool) -> torch.Tensor:
        with torch.inference_mode():
            cache = _opened(decoder, audio, capacity=20)
            if spoilt:
                decoder.forward(torch.tensor([[50257, 50362, 7, 8, 9, 10]]), [6], cache)
                cache.truncate(0, 2)
                hidden, _ = decoder.forward(text[:, 2:], [3], cache)
                return decoder.logits.full(hidden)
            hidden, _ = decoder.forward(text, [5], cache)
            return decoder.logits.full(hidden)[:, 2:]

    assert (logits(spoilt=False) - logits(spoilt=True)).abs().max() < TOLERANCE

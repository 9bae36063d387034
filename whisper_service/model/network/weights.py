"""A checkpoint's weights, laid out for our own forward passes: one precision, joined matrices, no modules.

openai-whisper keeps its weights in float32 modules that cast them at every call, and attaches its cache to
these modules with hooks. Here the weights are tensors in immutable tuples, which all passes share and no pass
changes.
Reference: whisper/model.py of openai-whisper 20250625.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whisper.model import MultiHeadAttention, ResidualAttentionBlock, Whisper

from whisper_service.model.network.logits import Logits
from whisper_service.model.network.precision import Int8Linear, Linear, Precision, linear

#: A linear layer; its bias may be None.
Product = Linear | Int8Linear


class Norm(NamedTuple):
    """Layer norm in float32. The output has the dtype that the next product takes."""

    weight: Tensor  # (D,), float32
    bias: Tensor  # (D,), float32
    dtype: torch.dtype

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), self.weight.shape, self.weight, self.bias).to(self.dtype)


class SelfAttention(NamedTuple):
    """Self-attention. One matrix, ``(3 * D, D)``, holds the projections to queries, keys and values."""

    qkv: Product
    out: Product


class CrossAttention(NamedTuple):
    """Cross-attention. Its projections to keys and values are in ``DecoderWeights.cross_kv``."""

    query: Product
    out: Product


class Mlp(NamedTuple):
    """Two linear layers with a GELU between them."""

    up: Product
    down: Product

    def __call__(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))


class EncoderBlock(NamedTuple):
    """One layer of the encoder."""

    attention_norm: Norm
    attention: SelfAttention
    mlp_norm: Norm
    mlp: Mlp


class DecoderBlock(NamedTuple):
    """One layer of the decoder."""

    attention_norm: Norm
    attention: SelfAttention
    cross_norm: Norm
    cross: CrossAttention
    mlp_norm: Norm
    mlp: Mlp


class EncoderWeights(NamedTuple):
    """The audio encoder."""

    convolutions: tuple[Linear, Linear]  # weights (D, n_mels, 3) and (D, D, 3)
    positions: Tensor  # (n_audio_ctx, D)
    blocks: tuple[EncoderBlock, ...]
    norm: Norm
    heads: int


class DecoderWeights(NamedTuple):
    """The text decoder."""

    embedding: Tensor  # (n_vocab, D)
    logits: Logits  # uses the matrix of the embedding
    positions: Tensor  # (n_text_ctx, D)
    blocks: tuple[DecoderBlock, ...]
    cross_kv: Product  # (2 * L * D, D): keys of layer 0, values of layer 0, keys of layer 1, …
    norm: Norm
    heads: int
    alignment_heads: tuple[Tensor | None, ...]  # the alignment heads of each layer, (n,); None if it has none


def encoder_weights(model: Whisper, precision: Precision, device: torch.device) -> EncoderWeights:
    """Return the encoder of ``model`` in ``precision`` on ``device``."""
    encoder = model.encoder
    put = _Put(precision, device)
    return EncoderWeights(
        convolutions=(put.convolution(encoder.conv1), put.convolution(encoder.conv2)),
        positions=put.table(encoder.positional_embedding),
        blocks=tuple(
            EncoderBlock(
                put.norm(block.attn_ln), put.attention(block.attn), put.norm(block.mlp_ln), put.mlp(block)
            )
            for block in encoder.blocks
        ),
        norm=put.norm(encoder.ln_post),
        heads=model.dims.n_audio_head,
    )


def decoder_weights(model: Whisper, precision: Precision, device: torch.device) -> DecoderWeights:
    """Return the decoder of ``model`` in ``precision`` on ``device``."""
    decoder = model.decoder
    put = _Put(precision, device)
    cross = [layer for block in decoder.blocks for layer in (block.cross_attn.key, block.cross_attn.value)]
    marked = model.alignment_heads.to_dense()  # (L, H), bool
    embedding = put.table(decoder.token_embedding.weight)
    return DecoderWeights(
        embedding=embedding,
        logits=Logits(embedding, precision),
        positions=put.table(decoder.positional_embedding),
        blocks=tuple(
            DecoderBlock(
                put.norm(block.attn_ln),
                put.attention(block.attn),
                put.norm(block.cross_attn_ln),
                CrossAttention(put.linear(block.cross_attn.query), put.linear(block.cross_attn.out)),
                put.norm(block.mlp_ln),
                put.mlp(block),
            )
            for block in decoder.blocks
        ),
        cross_kv=put.linear(*cross),
        norm=put.norm(decoder.ln),
        heads=model.dims.n_text_head,
        alignment_heads=tuple(row.nonzero()[:, 0].to(device) if row.any() else None for row in marked),
    )


class _Put(NamedTuple):
    """Converts layers to a precision and moves them to a device."""

    precision: Precision
    device: torch.device

    def linear(self, *layers: nn.Linear) -> Product:
        """Return one product for layers with the same input. Whisper's key projections have no bias."""
        weights = [layer.weight.detach() for layer in layers]
        biases = [
            weight.new_zeros(weight.shape[0]) if layer.bias is None else layer.bias.detach()
            for layer, weight in zip(layers, weights, strict=True)
        ]
        weight, bias = torch.cat(weights).to(self.device), torch.cat(biases).to(self.device)
        return linear(weight, bias, self.precision)

    def convolution(self, layer: nn.Conv1d) -> Linear:
        assert layer.bias is not None
        return Linear(self.table(layer.weight), self.table(layer.bias))

    def table(self, values: Tensor) -> Tensor:
        return values.detach().to(self.device, self.precision.dtype)

    def norm(self, layer: nn.LayerNorm) -> Norm:
        weight, bias = layer.weight.detach().to(self.device), layer.bias.detach().to(self.device)
        return Norm(weight, bias, self.precision.dtype)

    def attention(self, layer: MultiHeadAttention) -> SelfAttention:
        return SelfAttention(self.linear(layer.query, layer.key, layer.value), self.linear(layer.out))

    def mlp(self, block: ResidualAttentionBlock) -> Mlp:
        return Mlp(self.linear(block.mlp[0]), self.linear(block.mlp[2]))

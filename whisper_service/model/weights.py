"""A checkpoint's weights, laid out for our own forward passes: one dtype, joined matrices, no modules.

openai-whisper keeps its weights in float32 modules that cast them at every call, and hangs its cache on them
as hooks. Here they are tensors in frozen tuples, shared by all passes and changed by none.
Reference: whisper/model.py of openai-whisper 20250625.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whisper.model import MultiHeadAttention, ResidualAttentionBlock, Whisper


class Linear(NamedTuple):
    """``x @ weight.T + bias``."""

    weight: Tensor  # (D_out, D_in)
    bias: Tensor  # (D_out,)

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Norm(NamedTuple):
    """Layer norm, in float32 whatever goes in; what comes out has the dtype of what went in."""

    weight: Tensor  # (D,), float32
    bias: Tensor  # (D,), float32

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), self.weight.shape, self.weight, self.bias).to(x.dtype)


class SelfAttention(NamedTuple):
    """The three projections in one matrix, ``(3 * D, D)``: queries, keys, values."""

    qkv: Linear
    out: Linear


class CrossAttention(NamedTuple):
    """The projections of keys and values are in ``DecoderWeights.cross_kv``."""

    query: Linear
    out: Linear


class Mlp(NamedTuple):
    """Two layers with GELU between."""

    up: Linear
    down: Linear

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

    embedding: Tensor  # (n_vocab, D), also the projection to logits
    positions: Tensor  # (n_text_ctx, D)
    blocks: tuple[DecoderBlock, ...]
    cross_kv: Linear  # (2 * L * D, D): keys of layer 0, values of layer 0, keys of layer 1, …
    norm: Norm
    heads: int
    aligned: tuple[tuple[int, ...], ...]  # for each layer its alignment heads


def encoder_weights(model: Whisper, dtype: torch.dtype) -> EncoderWeights:
    """Return the encoder of ``model`` in ``dtype``, on the model's device."""
    encoder = model.encoder
    return EncoderWeights(
        convolutions=(_linear(encoder.conv1, dtype), _linear(encoder.conv2, dtype)),
        positions=encoder.positional_embedding.to(dtype),
        blocks=tuple(
            EncoderBlock(
                _norm(block.attn_ln),
                _self_attention(block.attn, dtype),
                _norm(block.mlp_ln),
                _mlp(block, dtype),
            )
            for block in encoder.blocks
        ),
        norm=_norm(encoder.ln_post),
        heads=model.dims.n_audio_head,
    )


def decoder_weights(model: Whisper, dtype: torch.dtype) -> DecoderWeights:
    """Return the decoder of ``model`` in ``dtype``, on the model's device."""
    decoder = model.decoder
    cross = [layer for block in decoder.blocks for layer in (block.cross_attn.key, block.cross_attn.value)]
    marked = model.alignment_heads.to_dense()  # (L, H), bool
    return DecoderWeights(
        embedding=decoder.token_embedding.weight.to(dtype),
        positions=decoder.positional_embedding.to(dtype),
        blocks=tuple(
            DecoderBlock(
                _norm(block.attn_ln),
                _self_attention(block.attn, dtype),
                _norm(block.cross_attn_ln),
                CrossAttention(_linear(block.cross_attn.query, dtype), _linear(block.cross_attn.out, dtype)),
                _norm(block.mlp_ln),
                _mlp(block, dtype),
            )
            for block in decoder.blocks
        ),
        cross_kv=_joined(cross, dtype),
        norm=_norm(decoder.ln),
        heads=model.dims.n_text_head,
        aligned=tuple(tuple(row.nonzero().flatten().tolist()) for row in marked),
    )


def _linear(layer: nn.Linear | nn.Conv1d, dtype: torch.dtype) -> Linear:
    bias = layer.bias if layer.bias is not None else layer.weight.new_zeros(layer.weight.shape[0])
    return Linear(layer.weight.detach().to(dtype), bias.detach().to(dtype))


def _joined(layers: list[nn.Linear], dtype: torch.dtype) -> Linear:
    """One matrix for layers with the same input; Whisper's keys have no bias."""
    parts = [_linear(layer, dtype) for layer in layers]
    return Linear(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))


def _norm(layer: nn.LayerNorm) -> Norm:
    return Norm(layer.weight.detach().float(), layer.bias.detach().float())


def _self_attention(layer: MultiHeadAttention, dtype: torch.dtype) -> SelfAttention:
    return SelfAttention(_joined([layer.query, layer.key, layer.value], dtype), _linear(layer.out, dtype))


def _mlp(block: ResidualAttentionBlock, dtype: torch.dtype) -> Mlp:
    return Mlp(_linear(block.mlp[0], dtype), _linear(block.mlp[2], dtype))

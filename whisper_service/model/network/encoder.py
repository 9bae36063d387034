"""The audio encoder's forward pass. Reference: whisper/model.py (``AudioEncoder``)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from whisper_service.model.network.weights import EncoderWeights, SelfAttention


def encode(weights: EncoderWeights, features: Tensor) -> Tensor:
    """Return the encoded audio, ``(B, n_audio_ctx, D)``.

    On a CPU the windows are encoded one by one, because a layer's results for one window fit into the
    processor's cache.

    :param features: log-mel spectrograms, ``(B, n_mels, 2 * n_audio_ctx)``, in the dtype of the weights.
    """
    if features.device.type == "cpu" and features.shape[0] > 1:
        return torch.cat([_encode(weights, window) for window in torch.split(features, 1)])
    return _encode(weights, features)


def _encode(weights: EncoderWeights, features: Tensor) -> Tensor:
    first, second = weights.convolutions
    x = F.gelu(F.conv1d(features, first.weight, first.bias, padding=1))
    x = F.gelu(F.conv1d(x, second.weight, second.bias, stride=2, padding=1))  # (B, D, n_audio_ctx)
    # The residual stream is float32: rounding it at every layer would cause word errors.
    x = x.transpose(1, 2).float() + weights.positions  # (B, n_audio_ctx, D)
    for block in weights.blocks:
        x = x + _attend(block.attention, block.attention_norm(x), weights.heads)
        x = x + block.mlp(block.mlp_norm(x))
    return weights.norm(x)


def _attend(attention: SelfAttention, x: Tensor, heads: int) -> Tensor:
    batch, length, _ = x.shape
    split = attention.qkv(x).view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
    query, keys, values = split  # each (B, H, n_audio_ctx, D_head)
    out = F.scaled_dot_product_attention(query, keys, values)
    return attention.out(out.transpose(1, 2).flatten(2))

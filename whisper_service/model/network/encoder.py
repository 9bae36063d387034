"""The audio encoder's forward pass. Reference: whisper/model.py (``AudioEncoder``)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.audio import HOP_LENGTH

from whisper_service.model.network.weights import EncoderWeights

#: A position of the encoder is two frames of the spectrogram: 320 samples, 20 ms at 16 kHz.
FRAMES_PER_POSITION = 2
SAMPLES_PER_POSITION: int = FRAMES_PER_POSITION * HOP_LENGTH
#: The convolutions reach this many frames beyond the first and the last position.
REACH = 2

#: Attention in one layer: its index, and queries, keys and values of the positions that are computed, each
#: ``(B, n, H, D_head)``. Returns the attended values, same shape.
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]


def encode(weights: EncoderWeights, features: Tensor) -> Tensor:
    """Return the encoded audio of whole windows, ``(B, n_audio_ctx, D)``.

    On a CPU the windows are encoded one by one, because a layer's results for one window fit into the
    processor's cache.

    :param features: log-mel spectrograms, ``(B, n_mels, 2 * n_audio_ctx)``, in the dtype of the weights.
    """
    if features.device.type == "cpu" and features.shape[0] > 1:
        return torch.cat([_encode(weights, window) for window in torch.split(features, 1)])
    return _encode(weights, features)


def _encode(weights: EncoderWeights, features: Tensor) -> Tensor:
    begins = torch.zeros(features.shape[0], dtype=torch.int64, device=features.device)
    x = embed(weights, F.pad(features, (REACH, REACH)), begins)
    return transform(weights, x, lambda layer, query, keys, values: attend(query, keys, values))


def embed(weights: EncoderWeights, pieces: Tensor, begins: Tensor) -> Tensor:
    """Return the input of the first layer for some positions of each window, float32 ``(B, n, D)``.

    :param pieces: the frames of these positions and ``REACH`` more on each side, ``(B, n_mels, 2n + 4)``.
        Frames outside of the window are zero.
    :param begins: the first position of each window, int64 ``(B,)``. Positions beyond the last one of a
        window may follow; their results are meaningless.
    """
    first, second = weights.convolutions
    last = weights.positions.shape[0]
    x = F.gelu(F.conv1d(pieces, first.weight, first.bias))  # (B, D, 2n + 2), one frame more on each side
    # Beyond the ends of a window the second convolution sees zeros, not the output of the first.
    frames = FRAMES_PER_POSITION * begins[:, None] - 1 + torch.arange(x.shape[2], device=x.device)
    x = x * ((frames >= 0) & (frames < FRAMES_PER_POSITION * last))[:, None]
    x = F.gelu(F.conv1d(x, second.weight, second.bias, stride=2))  # (B, D, n)
    positions = begins[:, None] + torch.arange(x.shape[2], device=x.device)
    # The residual stream is float32: rounding it at every layer would cause word errors.
    return x.transpose(1, 2).float() + weights.positions[positions.clamp(max=last - 1)]


def transform(weights: EncoderWeights, x: Tensor, attention: Attend) -> Tensor:
    """Return the output of all layers for the positions of ``x``, ``(B, n, D)``.

    :param attention: decides which keys and values the queries of these positions see.
    """
    batch, length, _ = x.shape
    for layer, block in enumerate(weights.blocks):
        joined = block.attention.qkv(block.attention_norm(x)).view(batch, length, 3, weights.heads, -1)
        out = attention(layer, *joined.unbind(2))  # (B, n, H, D_head)
        x = x + block.attention.out(out.flatten(2))
        x = x + block.mlp(block.mlp_norm(x))
    return weights.norm(x)


def attend(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return the attention of all queries to all keys, ``(B, n, H, D_head)``.

    :param query: ``(B, n, H, D_head)``.
    :param keys: ``(B, m, H, D_head)``; so are ``values``.
    """
    out = F.scaled_dot_product_attention(query.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2))
    return out.transpose(1, 2)


def positions_of(samples: int) -> int:
    """Return how many positions of the encoder hold this many samples."""
    return -(-samples // SAMPLES_PER_POSITION)

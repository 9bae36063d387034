"""Keys and values that one decoding pass keeps: preallocated, never concatenated."""

from __future__ import annotations

import torch
from torch import Tensor


class DecoderCache:
    """Self-attention keys and values of the tokens so far, and those of the audio.

    The cache belongs to one pass; nothing of it lives on the shared modules (openai-whisper registers
    hooks there, so two of its passes at once write into each other).

    :param cross_keys: per layer the keys of the encoded audio, each ``(B, H, n_audio_ctx, D_head)``.
    :param cross_values: per layer the values, same shapes.
    :param n_text_ctx: the largest number of tokens.
    """

    def __init__(self, cross_keys: list[Tensor], cross_values: list[Tensor], *, n_text_ctx: int) -> None:
        self.cross_keys = cross_keys
        self.cross_values = cross_values
        batch, heads, _, head_size = cross_keys[0].shape
        shape = (len(cross_keys), batch, heads, n_text_ctx, head_size)
        self.keys = torch.empty(shape, dtype=cross_keys[0].dtype, device=cross_keys[0].device)
        self.values = torch.empty_like(self.keys)
        self.length = 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write the keys and values of new tokens behind ``length``; return all of the layer's so far.

        :param keys: ``(B, H, T, D_head)``.
        :param values: ``(B, H, T, D_head)``.
        """
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def truncate(self, length: int) -> None:
        """Forget the tokens from ``length`` on: a draft that was not accepted."""
        self.length = min(self.length, length)

"""Whisper's encoder with kept keys and values, written on openai-whisper's own modules.

It is slow and simple, and the incremental encoder is compared with it. It is the experiment from which that
encoder came, by the authors of this project.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
import whisper
from torch import Tensor
from whisper.model import Whisper

N_POSITIONS = 1500


def spectrogram(pcm: np.ndarray) -> Tensor:
    """Return the spectrogram of a window, padded to 30 s, ``(n_mels, 3000)``."""
    return whisper.log_mel_spectrogram(whisper.pad_or_trim(torch.from_numpy(pcm)))


class ReferenceEncoder:
    """Keys and values of each layer and the output of one window, for all positions."""

    def __init__(self, model: Whisper) -> None:
        self.model, self.encoder = model, model.encoder
        self.keys: list[Tensor | None] = [None] * len(self.encoder.blocks)
        self.values: list[Tensor | None] = [None] * len(self.encoder.blocks)
        self.out: Tensor | None = None

    @torch.inference_mode()
    def update(self, mel: Tensor, begin: int, end: int) -> None:
        """Compute the positions ``[begin, end)`` of a window. The first time it must be all of them."""
        encoder = self.encoder
        first, last = max(0, 2 * begin - 8), min(2 * N_POSITIONS, 2 * end + 8)
        x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel[None, :, first:last])))).permute(0, 2, 1)
        x = x[:, begin - first // 2 :][:, : end - begin] + encoder.positional_embedding[begin:end]
        for i, block in enumerate(encoder.blocks):
            h = block.attn_ln(x)
            query, keys, values = block.attn.query(h), block.attn.key(h), block.attn.value(h)
            self.keys[i] = self._written(self.keys[i], keys, begin, end)
            self.values[i] = self._written(self.values[i], values, begin, end)
            split = [self._split(part) for part in (query, self.keys[i], self.values[i])]
            x = x + block.attn.out(F.scaled_dot_product_attention(*split).permute(0, 2, 1, 3).flatten(2))
            x = x + block.mlp(block.mlp_ln(x))
        self.out = self._written(self.out, encoder.ln_post(x), begin, end)

    @torch.inference_mode()
    def cross(self) -> Tensor:
        """Return the decoder's keys and values, ``(2, L, n_audio_ctx, D)``."""
        blocks = [block.cross_attn for block in self.model.decoder.blocks]
        keys = torch.stack([block.key(self.out)[0] for block in blocks])
        return torch.stack([keys, torch.stack([block.value(self.out)[0] for block in blocks])])

    def _split(self, x: Tensor | None) -> Tensor:
        assert x is not None
        return x.view(1, x.shape[1], self.model.dims.n_audio_head, -1).permute(0, 2, 1, 3)

    @staticmethod
    def _written(kept: Tensor | None, new: Tensor, begin: int, end: int) -> Tensor:
        if kept is None:
            return new.clone()
        kept[:, begin:end] = new
        return kept

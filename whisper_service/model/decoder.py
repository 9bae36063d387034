"""The text decoder's forward pass over openai-whisper's loaded weights.

openai-whisper's own ``TextDecoder.forward`` cannot take several tokens behind cached ones (its causal mask
is aligned upper-left) and loses the attention that word times need; this one can, and keeps it.
Reference: whisper/model.py of openai-whisper 20250625.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.model import MultiHeadAttention, Whisper

from whisper_service.model.cache import DecoderCache


class Decoder:
    """Steps the decoder of ``model``; holds no state of a pass."""

    def __init__(self, model: Whisper) -> None:
        self._decoder = model.decoder
        self._heads = model.dims.n_text_head
        self._n_text_ctx: int = model.dims.n_text_ctx
        self._aligned: dict[int, list[int]] = {}
        for layer, head in model.alignment_heads.indices().T.tolist():
            self._aligned.setdefault(layer, []).append(head)

    @property
    def n_text_ctx(self) -> int:
        """The largest number of tokens of one sequence, prompt included."""
        return self._n_text_ctx

    def open(self, audio: Tensor) -> DecoderCache:
        """Return an empty cache for windows whose encoded audio is ``audio``.

        :param audio: the encoder's output, ``(B, n_audio_ctx, D)``.
        """
        attention = [block.cross_attn for block in self._decoder.blocks]
        return DecoderCache(
            [self._split(layer.key(audio)) for layer in attention],
            [self._split(layer.value(audio)) for layer in attention],
            n_text_ctx=self._n_text_ctx,
        )

    def forward(self, tokens: Tensor, cache: DecoderCache) -> tuple[Tensor, Tensor]:
        """Append ``tokens`` behind those in the cache.

        :param tokens: int64, ``(B, T)``.
        :returns: hidden states behind the last layer norm, ``(B, T, D)``, and the attention of the alignment
            heads to the audio, float32, ``(B, n_alignment_heads, T, n_audio_ctx)``.
        """
        start, count = cache.length, tokens.shape[1]
        decoder = self._decoder
        x = decoder.token_embedding(tokens) + decoder.positional_embedding[start : start + count]  # (B, T, D)
        x = x.to(cache.keys.dtype)
        mask = _causal_mask(start, count, x.device)
        attended: list[Tensor] = []
        for index, block in enumerate(decoder.blocks):
            x = x + self._self_attention(block.attn, block.attn_ln(x), mask=mask, cache=cache, layer=index)
            update, weights = self._cross_attention(block.cross_attn, block.cross_attn_ln(x), cache, index)
            if index in self._aligned:
                attended.append(weights[:, self._aligned[index]].float())
            x = x + update
            x = x + block.mlp(block.mlp_ln(x))
        cache.length += count
        return decoder.ln(x), torch.cat(attended, dim=1)  # (B, T, D), (B, A, T, n_audio_ctx)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the next token's logits, float32 ``(B, T, n_vocab)``, of ``forward``'s hidden states."""
        return F.linear(hidden, self._decoder.token_embedding.weight.to(hidden.dtype)).float()

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self._heads, -1).transpose(1, 2)  # (B, H, T, D_head)

    def _self_attention(
        self,
        attention: MultiHeadAttention,
        x: Tensor,
        *,
        mask: Tensor | None,
        cache: DecoderCache,
        layer: int,
    ) -> Tensor:
        query = self._split(attention.query(x))
        keys, values = cache.extend(layer, self._split(attention.key(x)), self._split(attention.value(x)))
        out = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)  # (B, H, T, D_head)
        projected: Tensor = attention.out(out.transpose(1, 2).flatten(2))  # (B, T, D)
        return projected

    def _cross_attention(
        self, attention: MultiHeadAttention, x: Tensor, cache: DecoderCache, layer: int
    ) -> tuple[Tensor, Tensor]:
        query = self._split(attention.query(x))
        scores = query @ cache.cross_keys[layer].transpose(-1, -2) * query.shape[-1] ** -0.5
        weights = scores.float().softmax(dim=-1)  # (B, H, T, n_audio_ctx)
        out = weights.to(x.dtype) @ cache.cross_values[layer]  # (B, H, T, D_head)
        return attention.out(out.transpose(1, 2).flatten(2)), weights


def _causal_mask(start: int, count: int, device: torch.device) -> Tensor | None:
    """Return which of the ``start + count`` keys each new token may see, bool ``(T, start + T)``.

    One token behind cached ones sees them all and needs no mask.
    """
    if count == 1:
        return None
    return torch.ones(count, start + count, dtype=torch.bool, device=device).tril(start)

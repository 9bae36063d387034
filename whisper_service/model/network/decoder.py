"""The text decoder's forward pass over a batch whose rows have different lengths.

openai-whisper's own ``TextDecoder.forward`` cannot take several tokens after cached ones (its causal mask is
aligned upper-left), and discards the attention that word times need. This one takes them, and returns it.
Reference: whisper/model.py (``TextDecoder``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from whisper_service.model.network.cache import DecoderCache
from whisper_service.model.network.graphs import Record, StepGraphs
from whisper_service.model.network.logits import Logits
from whisper_service.model.network.scratch import Scratch
from whisper_service.model.network.weights import CrossAttention, DecoderWeights, SelfAttention


class Decoder:
    """The text decoder. It owns memory that the newest cache lives in: on a CPU its keys and values of the
    audio, on a GPU all of it.

    :param weights: the weights of the decoder.
    :param audio_positions: the number of positions of a window's encoded audio, ``n_audio_ctx``.
    :param recorder: makes the recorder for steps of one token (``network/graphs.py``). Without it, steps are
        not recorded.
    """

    def __init__(
        self, weights: DecoderWeights, recorder: Callable[[], Record] | None = None, *, audio_positions: int
    ) -> None:
        self._weights = weights
        self._audio_positions = audio_positions
        self._scratch = Scratch()
        self._steps = recorder and StepGraphs(self._run, recorder, capacity=weights.positions.shape[0])

    def project(self, audio: Tensor) -> Tensor:
        """Return the keys and values of all layers, computed in one product, ``(B, n, L, 2, H, D_head)``.

        On a CPU the next call overwrites them.

        :param audio: encoded audio, ``(B, n, D)``.
        """
        batch, length, width = audio.shape
        joined = None
        if not audio.is_cuda:
            size = 2 * len(self._weights.blocks) * width
            joined = self._scratch.tensor("joined", (batch * length, size), like=audio)
        projected = self._weights.cross_kv(audio.flatten(0, 1), out=joined)
        return projected.view(batch, length, len(self._weights.blocks), 2, self._weights.heads, -1)

    def open(self, batch: int, *, capacity: int) -> DecoderCache:
        """Return an empty cache for ``batch`` windows, whose audio the caller has yet to write to it.

        This call overwrites the cache of the last call, which must not be used any more.

        :param capacity: the largest number of tokens of a row, padding included; at most ``n_text_ctx``. On a
            GPU it is ``n_text_ctx``.
        """
        weights = self._weights
        size = weights.positions.shape[1] // weights.heads
        shape = (2, len(weights.blocks), batch, weights.heads, self._audio_positions, size)
        if self._steps is not None:
            return self._steps.open(shape, like=weights.positions)
        keys, values = self._scratch.tensor("cross", shape, like=weights.positions)
        return DecoderCache(keys, values, capacity=capacity)

    def forward(self, tokens: Tensor, counts: list[int], cache: DecoderCache) -> tuple[Tensor, Tensor]:
        """Append tokens to the rows of the cache, and return their hidden states and attention.

        :param tokens: int64, ``(B, T)``. The tokens after a row's count are padding.
        :param counts: the number of tokens of each row without padding.
        :returns: hidden states after the last layer norm, ``(B, T, D)``, and the attention of the alignment
            heads to the audio, float32, ``(B, n_alignment_heads, T, cache.heard)``. Both are meaningless at
            padding.
        """
        begins = torch.tensor(cache.lengths, device=tokens.device)
        outputs = self._run(tokens, begins, cache, max(cache.lengths) + tokens.shape[1])
        cache.lengths = [length + new for length, new in zip(cache.lengths, counts, strict=True)]
        return outputs

    def step(self, tokens: Sequence[int], counts: list[int], cache: DecoderCache) -> tuple[Tensor, Tensor]:
        """Append one token to each row; see ``forward``, which is slower for one token on a GPU."""
        if self._steps is None or not cache.fixed_memory:
            return self.forward(torch.tensor(tokens, device=cache.keys.device)[:, None], counts, cache)
        outputs = self._steps.run(tokens, cache)
        cache.lengths = [length + new for length, new in zip(cache.lengths, counts, strict=True)]
        return outputs

    def _run(self, tokens: Tensor, begins: Tensor, cache: DecoderCache, reach: int) -> tuple[Tensor, Tensor]:
        """Run the decoder without a transfer to or from the host, so that the call can be recorded.

        :param begins: the position of each row's first new token, ``(B,)``.
        :param reach: the number of positions that are read. Those of all new tokens are below it.
        """
        weights, count, device = self._weights, tokens.shape[1], tokens.device
        positions = begins[:, None] + torch.arange(count, device=device)  # of the new tokens, (B, T)
        # A token sees the earlier tokens of its row and itself, never the later positions that only longer
        # rows use.
        mask = (torch.arange(reach, device=device) <= positions[..., None])[:, None]  # (B, 1, T, reach)
        last = weights.positions.shape[0] - 1
        # The residual stream is float32, as in the encoder.
        x = F.embedding(tokens, weights.embedding).float() + F.embedding(
            positions.clamp(max=last), weights.positions
        )
        attended: list[Tensor] = []
        rows = torch.arange(tokens.shape[0], device=device)[:, None]
        heard, audio_weights = cache.heard, cache.cross_weights
        if audio_weights is not None:
            audio_weights = audio_weights[:, None, None, :heard]  # (B, 1, 1, heard)
        for layer, block in enumerate(weights.blocks):
            keys, values = cache.keys[layer], cache.values[layer]
            query, new_keys, new_values = self._project(block.attention, block.attention_norm(x))
            keys[rows, positions], values[rows, positions] = new_keys, new_values
            x = x + self._attend(block.attention, query, keys[:, :reach], values[:, :reach], mask)
            update, seen = self._cross_attend(
                block.cross,
                block.cross_norm(x),
                cache.cross_keys[layer, :, :, :heard],
                cache.cross_values[layer, :, :, :heard],
                audio_weights,
                weights.alignment_heads[layer],
            )
            if seen is not None:
                attended.append(seen)
            x = x + update
            x = x + block.mlp(block.mlp_norm(x))
        return weights.norm(x), torch.cat(attended, dim=1)

    @property
    def logits(self) -> Logits:
        """The projection from the hidden states of ``forward`` to the logits of the next token."""
        return self._weights.logits

    def _project(self, attention: SelfAttention, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        joined = attention.qkv(x).view(*x.shape[:2], 3, self._weights.heads, -1)
        query, keys, values = joined.unbind(2)
        return query, keys, values  # each (B, T, H, D_head)

    def _attend(
        self, attention: SelfAttention, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> Tensor:
        out = F.scaled_dot_product_attention(
            query.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), attn_mask=mask
        )  # (B, H, T, D_head)
        return attention.out(out.transpose(1, 2).flatten(2))

    def _cross_attend(
        self,
        attention: CrossAttention,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        weights: Tensor | None,
        alignment_heads: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        query = attention.query(x).view(*x.shape[:2], self._weights.heads, -1).transpose(1, 2)
        if alignment_heads is None:
            mask = None if weights is None else weights.to(query.dtype).expand(-1, -1, query.shape[2], -1)
            out = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
            return attention.out(out.transpose(1, 2).flatten(2)), None
        scores = query @ keys.transpose(-1, -2) * query.shape[-1] ** -0.5
        scores = scores.float() if weights is None else scores.float() + weights
        seen = scores.softmax(dim=-1)  # (B, H, T, heard)
        out = seen.to(x.dtype) @ values
        return attention.out(out.transpose(1, 2).flatten(2)), seen.index_select(1, alignment_heads)

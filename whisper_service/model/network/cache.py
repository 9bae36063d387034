"""The key-value cache for the texts of a batch: preallocated and padded, with a length for each row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

#: Of a silence at the end of a window, one position is read for so many.
SILENCE_STEP = 8


class DecoderCache:
    """Self-attention keys and values of the tokens so far, and cross-attention keys and values of the audio.

    A row holds one text of one window. Each row has its own length. The positions from a row's length on hold
    padding or dropped tokens, which no later token of the row may see. The caches of ``copied`` have memory
    of their own; a cache of ``Decoder.open`` may reuse the memory of the one before.

    :param cross_keys: keys of the encoded audio, ``(L, B, H, n_audio_ctx, D_head)``.
    :param cross_values: values of the encoded audio, same shape.
    :param capacity: the largest number of tokens of a row, padding included.
    :param fixed_memory: whether rows must move within these tensors, because recorded steps work on them
        (``network/graphs.py``).
    """

    def __init__(
        self, cross_keys: Tensor, cross_values: Tensor, *, capacity: int, fixed_memory: bool = False
    ) -> None:
        self.cross_keys = cross_keys
        self.cross_values = cross_values
        self.fixed_memory = fixed_memory
        layers, batch, heads, _, head_size = cross_keys.shape
        # A row's tokens are contiguous, so projections (B, T, H, D_head) are written without a transpose.
        self.keys = cross_keys.new_zeros(layers, batch, capacity, heads, head_size)
        self.values = torch.zeros_like(self.keys)
        self.lengths = [0] * batch
        #: The number of positions of the audio that are read.
        self.heard = cross_keys.shape[3] if fixed_memory else 0
        #: The logarithm of the number of positions for which each of them stands, float32
        #: ``(B, n_audio_ctx)``; minus infinity after the last one of a row. None: each stands for itself.
        self.cross_weights: Tensor | None = None

    def hear(self, row: int, keys_and_values: Tensor, *, silence: int | None = None) -> None:
        """Write the audio of ``row``.

        :param keys_and_values: ``(2, L, H, n_audio_ctx, D_head)``.
        :param silence: the position from which on a window is silent. Neighbours in this silence are much
            alike, so one of ``SILENCE_STEP`` is written, and stands for all of them. None: all are written.
        """
        length = keys_and_values.shape[3]
        if silence is None or self.fixed_memory:
            silence = length
        first = min(length, silence + SILENCE_STEP // 2)
        end = silence + len(range(first, length, SILENCE_STEP))
        for memory, values in zip((self.cross_keys, self.cross_values), keys_and_values, strict=True):
            memory[:, row, :, :silence].copy_(values[:, :, :silence])
            memory[:, row, :, silence:end].copy_(values[:, :, first::SILENCE_STEP])
            if self.cross_keys.shape[1] > 1:
                # Longer rows read on. Their weight is zero here, but zero times NaN would be NaN.
                memory[:, row, :, end:].zero_()
        self.heard = max(self.heard, end)
        if self.cross_weights is None and end < length:
            self.cross_weights = torch.zeros(self.cross_keys.shape[1], length, device=self.cross_keys.device)
        if self.cross_weights is not None and silence < length:
            self.cross_weights[row, silence:end] = math.log((length - silence) / max(1, end - silence))
            self.cross_weights[row, end:] = -math.inf

    def truncate(self, row: int, length: int) -> None:
        """Drop the tokens of ``row`` from position ``length`` on, such as those of a rejected draft."""
        self.lengths[row] = min(self.lengths[row], length)

    def first_rows(self, count: int) -> DecoderCache:
        """Return an empty cache in the memory of the first rows, so one cache can serve many batches."""
        view = DecoderCache(
            self.cross_keys[:, :count], self.cross_values[:, :count], capacity=0, fixed_memory=True
        )
        view.keys, view.values = self.keys[:, :count], self.values[:, :count]
        return view

    def copied(self, rows: Sequence[int]) -> DecoderCache:
        """Return a cache with its own memory and copies of these rows. A row may be named several times."""
        index = torch.tensor(rows, device=self.keys.device)
        copy = DecoderCache(
            self.cross_keys.index_select(1, index), self.cross_values.index_select(1, index), capacity=0
        )
        copy.keys, copy.values = self.keys.index_select(1, index), self.values.index_select(1, index)
        copy.heard = self.heard
        if self.cross_weights is not None:
            copy.cross_weights = self.cross_weights[index]
        copy.lengths = [self.lengths[row] for row in rows]
        return copy

    def reorder(self, rows: Sequence[int]) -> None:
        """Give each row ``i`` the tokens of row ``rows[i]``, which must belong to the same audio."""
        index = torch.tensor(rows, device=self.keys.device)
        self.keys, self.values = self._chosen(self.keys, index), self._chosen(self.values, index)
        self.lengths = [self.lengths[row] for row in rows]

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows, in this order. A row may be named several times, unless that needs more rows
        than there are and ``fixed_memory`` is set.
        """
        if self.cross_weights is not None:
            self.cross_weights = self.cross_weights[list(rows)]
        if list(rows) != sorted(set(rows)):
            index = torch.tensor(rows, device=self.cross_keys.device)
            self.cross_keys = self._chosen(self.cross_keys, index)
            self.cross_values = self._chosen(self.cross_values, index)
            self.reorder(rows)
            return
        # The rows stay in order, so each can be copied to a lower index within the same memory.
        self.cross_keys, self.cross_values = (
            _compact(self.cross_keys, rows),
            _compact(self.cross_values, rows),
        )
        self.keys, self.values = _compact(self.keys, rows), _compact(self.values, rows)
        self.lengths = [self.lengths[row] for row in rows]

    def _chosen(self, tensor: Tensor, rows: Tensor) -> Tensor:
        chosen = tensor.index_select(1, rows)
        return tensor[:, : rows.shape[0]].copy_(chosen) if self.fixed_memory else chosen


def _compact(tensor: Tensor, rows: Sequence[int]) -> Tensor:
    """Return ``tensor`` with only these rows, which must be in ascending order. In place."""
    for index, row in enumerate(rows):
        if index != row:
            tensor[:, index].copy_(tensor[:, row])
    return tensor[:, : len(rows)]

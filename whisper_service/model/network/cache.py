"""Keys and values that a batch of decoding passes keeps: preallocated, padded, with a length for each row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class DecoderCache:
    """Self-attention keys and values of the tokens so far, and those of the audio.

    A row is one window. Rows have lengths of their own: behind a row's length stands what no later token of
    it may see. Nothing of a cache is shared, so two passes cannot write into each other.

    :param cross_keys: of the encoded audio, ``(L, B, H, n_audio_ctx, D_head)``.
    :param cross_values: same shape.
    :param room: the largest number of tokens of a row, padding included.
    :param stays: rows move within these tensors, which recorded steps work on (``model/steps.py``).
    """

    def __init__(self, cross_keys: Tensor, cross_values: Tensor, *, room: int, stays: bool = False) -> None:
        self.cross_keys = cross_keys
        self.cross_values = cross_values
        self.stays = stays
        layers, batch, heads, _, head_size = cross_keys.shape
        # Rows hold their tokens in one piece: (B, T, H, D_head) is written as it comes.
        self.keys = cross_keys.new_zeros(layers, batch, room, heads, head_size)
        self.values = torch.zeros_like(self.keys)
        self.lengths = [0] * batch

    def truncate(self, row: int, length: int) -> None:
        """Forget the tokens of ``row`` from ``length`` on: padding, or a draft that was not accepted."""
        self.lengths[row] = min(self.lengths[row], length)

    def first(self, count: int) -> DecoderCache:
        """Return an empty cache in the place of the first rows, for those who keep this one for others."""
        view = DecoderCache(self.cross_keys[:, :count], self.cross_values[:, :count], room=0, stays=True)
        view.keys, view.values = self.keys[:, :count], self.values[:, :count]
        return view

    def copied(self, rows: Sequence[int]) -> DecoderCache:
        """Return a cache of its own with these rows, each as often as it is named."""
        index = torch.tensor(rows, device=self.keys.device)
        copy = DecoderCache(
            self.cross_keys.index_select(1, index), self.cross_values.index_select(1, index), room=0
        )
        copy.keys, copy.values = self.keys.index_select(1, index), self.values.index_select(1, index)
        copy.lengths = [self.lengths[row] for row in rows]
        return copy

    def reorder(self, rows: Sequence[int]) -> None:
        """Put in each row's place the text of another one that hears the same audio."""
        index = torch.tensor(rows, device=self.keys.device)
        self.keys, self.values = self._chosen(self.keys, index), self._chosen(self.values, index)
        self.lengths = [self.lengths[row] for row in rows]

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows alone, in this order; one may be named several times."""
        if list(rows) != sorted(set(rows)):
            index = torch.tensor(rows, device=self.cross_keys.device)
            self.cross_keys = self._chosen(self.cross_keys, index)
            self.cross_values = self._chosen(self.cross_values, index)
            self.reorder(rows)
            return
        # They move together within their memory.
        self.cross_keys, self.cross_values = (
            _together(self.cross_keys, rows),
            _together(self.cross_values, rows),
        )
        self.keys, self.values = _together(self.keys, rows), _together(self.values, rows)
        self.lengths = [self.lengths[row] for row in rows]

    def _chosen(self, tensor: Tensor, rows: Tensor) -> Tensor:
        chosen = tensor.index_select(1, rows)
        return tensor[:, : rows.shape[0]].copy_(chosen) if self.stays else chosen


def _together(tensor: Tensor, rows: Sequence[int]) -> Tensor:
    """Return ``tensor`` with these rows alone, which are named in their order. In place."""
    for place, row in enumerate(rows):
        if place != row:
            tensor[:, place].copy_(tensor[:, row])
    return tensor[:, : len(rows)]

"""The incremental encoder: an update of a growing window computes only the positions that are new.

Whisper's encoder hears 30 s, whatever a window holds. A live window grows by half a second, so nearly all of
that work was done a moment ago. The first update of a window computes all its positions, and keeps their keys
and values in all layers. Each later update computes the new positions, some before these, and a margin of
silence after them, as queries against all keys and values, and writes their own in place. So the decoder
always sees 1,500 positions, with the silence at the end from which it has learnt to stop.
``docs/design.md`` explains it with a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from whisper.model import ModelDimensions

from whisper_service.model.network.encoder import (
    FRAMES_PER_POSITION,
    REACH,
    attend,
    embed,
    positions_of,
    transform,
)
from whisper_service.model.network.places import ManyWindows, OneWindow, Places, Range
from whisper_service.model.network.precision import Precision
from whisper_service.model.network.states import State
from whisper_service.model.network.weights import EncoderWeights

#: On a GPU, ranges are padded to one of these numbers of positions, or to the whole window.
_BUCKETS = (128, 192, 256, 384, 512, 768, 1024)

#: Returns the decoder's keys and values of encoded audio ``(B, n, D)``, as ``(B, n, L, 2, H, D_head)``.
Project = Callable[[Tensor], Tensor]


class Margins(NamedTuple):
    """How many positions around the new ones an update computes. docs/performance.md has a table of choices.

    :param before: positions before the new ones: they have now heard what follows them.
    :param after: positions after the new ones: silence after speech is not the silence of an empty window.
    """

    before: int = 150
    after: int = 25


#: The choice of the service.
MARGINS = Margins()


@dataclass(frozen=True, slots=True)
class Update:
    """One update of a window.

    :param length: the length of the window, in samples.
    :param kept: whether the state keeps it. If not, ``undo`` has to be called.
    """

    state: State
    length: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Undo:
    """What is needed to take an update back: what stood at the positions that it has computed."""

    state: State
    heard: tuple[int, ...]
    place: Range
    kept: Tensor
    cross: Tensor


class IncrementalEncoder:
    """Encodes growing windows, and keeps their keys and values in slots of its memory.

    :param project: computes the decoder's keys and values of encoded audio.
    :param dims: the dimensions of the model.
    :param slots: the largest number of windows whose state is kept.
    """

    def __init__(
        self,
        weights: EncoderWeights,
        project: Project,
        dims: ModelDimensions,
        *,
        slots: int,
        margins: Margins,
    ) -> None:
        self._weights = weights
        self._project = project
        self._margins = margins
        self._positions = dims.n_audio_ctx
        # Two more slots: one takes the padding of ranges. On a CPU, memory that was never written to costs
        # nothing.
        self._spare = slots
        #: The state of a window without audio. The caller makes it, as it makes the others.
        self.empty = State(slots + 1, 0)
        like, size = weights.positions, dims.n_audio_state // dims.n_audio_head
        #: The encoder's keys and values, ``(L, 2, S, n_audio_ctx, H, D_head)``.
        self._kept = like.new_empty(
            dims.n_audio_layer, 2, slots + 2, dims.n_audio_ctx, dims.n_audio_head, size
        )
        size = dims.n_text_state // dims.n_text_head
        #: The decoder's keys and values of the audio, ``(2, L, S, H, n_audio_ctx, D_head)``.
        self.cross = like.new_empty(2, dims.n_text_layer, slots + 2, dims.n_text_head, dims.n_audio_ctx, size)

    def update(self, updates: Sequence[Update], features: Tensor) -> list[Undo]:
        """Compute the new positions of some windows; return how to take back the updates that are not kept.

        :param features: the spectrograms of the windows up to their new lengths,
            ``(B, n_mels, 2 * n_audio_ctx)``.
        """
        places = [self._place(update) for update in updates]
        heard = [update.state.begin() for update in updates]
        undos = [
            self._undo(update.state, before, place)
            for update, place, before in zip(updates, places, heard, strict=True)
            if not update.kept
        ]
        if computes_together(features.device):
            self._compute_together(places, features)
        else:
            for row, place in enumerate(places):
                pieces = self._pieces(features[row : row + 1], [place.begin], place.end - place.begin)
                self._compute(OneWindow(place), pieces, [place.begin])
        for update, before in zip(updates, heard, strict=True):
            if update.kept:
                update.state.heard = (*before, update.length)
        return undos

    def undo(self, undos: Sequence[Undo]) -> None:
        """Take updates back. The states are again what they were before."""
        for undo in undos:
            slot, begin, end = undo.place
            self._kept[:, :, slot, begin:end].copy_(undo.kept)
            self.cross[:, :, slot, :, begin:end].copy_(undo.cross)
            undo.state.heard = undo.heard

    def silence_after(self, length: int) -> int:
        """Return the position from which on a window of ``length`` samples is silent, margin excluded."""
        return int(min(self._positions, positions_of(length) + self._margins.after))

    def _place(self, update: Update) -> Range:
        """Return the positions that an update computes. They depend on the lengths of the window alone."""
        slot, heard = update.state.slot, update.state.heard
        if not heard:
            return Range(slot, 0, self._positions)
        before, now = positions_of(heard[-1]), positions_of(update.length)
        begin = max(0, min(before, now) - self._margins.before)
        return Range(slot, begin, min(self._positions, max(before, now) + self._margins.after))

    def _undo(self, state: State, heard: tuple[int, ...], place: Range) -> Undo:
        slot, begin, end = place
        end = end if heard else begin  # nothing of a new window is worth saving
        kept = self._kept[:, :, slot, begin:end].clone()
        cross = self.cross[:, :, slot, :, begin:end].clone()
        return Undo(state, heard, Range(slot, begin, end), kept, cross)

    def _compute_together(self, places: Sequence[Range], features: Tensor) -> None:
        """Compute ranges of similar lengths together, each padded to the longest of its bucket."""
        buckets: dict[int, list[int]] = {}
        for row, (_, begin, end) in enumerate(places):
            bucket = next((size for size in _BUCKETS if size >= end - begin), self._positions)
            buckets.setdefault(bucket, []).append(row)
        for length, rows in buckets.items():
            some = [places[row] for row in rows]
            begins = [place.begin for place in some]
            many = ManyWindows(
                some, length, positions=self._positions, spare=self._spare, device=features.device
            )
            self._compute(many, self._pieces(features[rows], begins, length), begins)

    def _pieces(self, features: Tensor, begins: Sequence[int], length: int) -> Tensor:
        """Return the frames that ``embed`` needs for ``length`` positions from each of ``begins``."""
        padded = F.pad(features, (REACH, REACH + FRAMES_PER_POSITION * length))
        size = FRAMES_PER_POSITION * length + 2 * REACH
        return torch.stack(
            [row[:, FRAMES_PER_POSITION * at :][:, :size] for row, at in zip(padded, begins, strict=True)]
        )

    def _compute(self, places: Places, pieces: Tensor, begins: Sequence[int]) -> None:
        """Compute some positions of some windows, and write their keys and values."""

        def attention(layer: int, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            kept_keys, kept_values = self._kept[layer]
            places.write(kept_keys, keys)
            places.write(kept_values, values)
            return attend(query, places.read(kept_keys), places.read(kept_values))

        x = embed(self._weights, pieces, torch.tensor(begins, device=pieces.device))
        audio = transform(self._weights, x, attention)
        joined = self._project(audio)  # (B, n, L, 2, H, D_head)
        places.write(self.cross.permute(2, 4, 1, 0, 3, 5), joined)


def computes_together(device: torch.device) -> bool:
    """Return whether the ranges of several windows are computed in one call. On a CPU that saves nothing."""
    return device.type == "cuda"


def state_bytes(dims: ModelDimensions, precision: Precision) -> int:
    """Return the size of the state of one window."""
    numbers = 2 * (dims.n_audio_layer + dims.n_text_layer) * dims.n_audio_ctx * dims.n_audio_state
    return int(numbers * precision.dtype.itemsize)

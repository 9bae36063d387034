"""Encodes the windows of a batch: growing windows incrementally, others as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor
from whisper.model import ModelDimensions

from whisper_service.model.network.cache import DecoderCache
from whisper_service.model.network.decoder import Decoder
from whisper_service.model.network.encoder import encode
from whisper_service.model.network.features import LogMel, WindowAudio
from whisper_service.model.network.incremental import IncrementalEncoder, Margins, Undo, Update
from whisper_service.model.network.states import States
from whisper_service.model.network.weights import EncoderWeights


class GrowingWindow(NamedTuple):
    """A window that a stream has asked about before, or will ask about again.

    :param heard: the lengths of the window at the earlier updates that its state must have heard, ascending,
        in samples. None: the window is encoded as a whole.
    :param kept: whether later updates go on from this one.
    :param rough: whether a window without ``heard`` is encoded roughly: only the positions with audio are
        computed, and the silence after them is that of an empty window.
    """

    audio: WindowAudio
    heard: tuple[int, ...] | None = None
    kept: bool = False
    rough: bool = False

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of the window at all updates, this one included."""
        length, heard = self.audio.pcm.shape[0], self.heard or ()
        return heard if heard[-1:] == (length,) else (*heard, length)


class WindowEncoder:
    """Encodes windows for ``decoder``.

    :param features: computes the spectrograms, and keeps frames of each stream.
    :param dims: the dimensions of the model.
    :param margins: which positions an update of a growing window computes. None: every window is encoded as a
        whole.
    :param slots: the number of streams whose newest window is kept.
    """

    def __init__(
        self,
        weights: EncoderWeights,
        decoder: Decoder,
        features: LogMel,
        dims: ModelDimensions,
        *,
        margins: Margins | None,
        slots: int,
    ) -> None:
        self._weights = weights
        self._decoder = decoder
        self._features = features
        self._states = States(slots)
        # Made for the first growing window: files need none of its memory.
        self._make_incremental = margins and partial(
            IncrementalEncoder, weights, decoder.project, dims, slots=slots, margins=margins
        )
        self._incremental: IncrementalEncoder | None = None

    def encode(self, windows: Sequence[GrowingWindow], cache: DecoderCache) -> None:
        """Encode ``windows``, and write the keys and values of their audio to the rows of ``cache``.

        :raises ValueError: if two growing windows are of one stream.
        """
        growing: dict[int, GrowingWindow] = {}
        rough: dict[int, GrowingWindow] = {}
        if self._make_incremental is not None:
            growing = {row: window for row, window in enumerate(windows) if window.heard is not None}
            rough = {row: window for row, window in enumerate(windows) if window.rough and row not in growing}
            if growing or rough:
                incremental = self._incremental = self._incremental or self._make_incremental()
                self._grow(incremental, growing, cache)
                for row, window in rough.items():
                    self._hear_roughly(incremental, row, window.audio, cache)
        whole = [row for row in range(len(windows)) if row not in growing and row not in rough]
        if whole:
            audio = encode(self._weights, self._spectrograms([windows[row].audio for row in whole]))
            for row, encoded in zip(whole, audio, strict=True):
                joined = self._decoder.project(encoded[None])[0]  # (n_audio_ctx, L, 2, H, D_head)
                cache.hear(row, joined.permute(2, 1, 3, 0, 4))

    def forget(self, stream: str) -> None:
        """Drop everything that is kept for ``stream``. It only saves time."""
        self._features.forget(stream)
        self._states.forget(stream)

    def _grow(
        self, incremental: IncrementalEncoder, windows: Mapping[int, GrowingWindow], cache: DecoderCache
    ) -> None:
        """Update the states of growing windows, and write their keys and values to ``cache``.

        Usually that is one update for each window. If a state is missing, the updates that made it come
        first: the same arithmetic gives the same state.
        """
        if len({window.audio.stream for window in windows.values()}) < len(windows):
            raise ValueError("two windows of one stream in a batch")
        states, waiting = {}, {}
        for row, window in windows.items():
            lengths = window.lengths
            states[row], known = self._states.find(window.audio.stream, window.audio.start, lengths)
            waiting[row] = list(lengths[known:])
        undos: list[Undo] = []
        while any(waiting.values()):
            rows = [row for row, lengths in waiting.items() if lengths]
            now = {row: waiting[row].pop(0) for row in rows}
            undos += incremental.update(
                [
                    Update(states[row], length, kept=windows[row].kept or bool(waiting[row]))
                    for row, length in now.items()
                ],
                self._spectrograms([windows[row].audio.up_to(length) for row, length in now.items()]),
            )
        for row, state in states.items():
            silence = incremental.silence_after(windows[row].audio.pcm.shape[0])
            cache.hear(row, incremental.cross[:, :, state.slot], silence=silence)
        incremental.undo(undos)

    def _hear_roughly(
        self, incremental: IncrementalEncoder, row: int, audio: WindowAudio, cache: DecoderCache
    ) -> None:
        """Encode a window as an update of the empty window, and take the update back."""
        empty, length = incremental.empty, audio.pcm.shape[0]
        if empty.heard != (0,):
            empty.heard = ()
            nothing = self._spectrograms([WindowAudio("", 0, audio.pcm[:0])])
            incremental.update([Update(empty, 0, kept=True)], nothing)
        # The frames that are kept are those of the window with which the stream goes on.
        features = self._spectrograms([WindowAudio("", audio.start, audio.pcm)])
        self._features.forget("")
        undos = incremental.update([Update(empty, length, kept=False)], features)
        cache.hear(row, incremental.cross[:, :, empty.slot], silence=incremental.silence_after(length))
        incremental.undo(undos)

    def _spectrograms(self, windows: Sequence[WindowAudio]) -> Tensor:
        return self._features.windows(windows).to(self._weights.positions.dtype)

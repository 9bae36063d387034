"""The incremental encoder computes what the reference computes, and its states can be lost at any time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from whisper.model import Whisper

from tests.conftest import Talk
from tests.model.network.reference_encoder import ReferenceEncoder, spectrogram
from whisper_service.model.network.decoder import Decoder
from whisper_service.model.network.encoder import positions_of
from whisper_service.model.network.features import LogMel, WindowAudio
from whisper_service.model.network.incremental import IncrementalEncoder, Margins
from whisper_service.model.network.precision import Precision
from whisper_service.model.network.weights import decoder_weights, encoder_weights
from whisper_service.model.network.windows import GrowingWindow, WindowEncoder

RATE = 16_000
CPU = torch.device("cpu")


class Encoder:
    """A window encoder with its decoder, which hears windows of a talk."""

    def __init__(self, model: Whisper, talk: Talk, *, slots: int = 4) -> None:
        self._decoder = Decoder(decoder_weights(model, Precision.FLOAT32, CPU), audio_positions=1500)
        weights = encoder_weights(model, Precision.FLOAT32, CPU)
        features = LogMel(n_mels=80, device=CPU)
        self.windows = WindowEncoder(
            weights, self._decoder, features, model.dims, margins=Margins(), slots=slots
        )
        self._pcm = talk.pcm

    def window(
        self,
        stream: str,
        start: float,
        ends: Sequence[float],
        *,
        kept: bool = True,
        whole: bool = False,
        rough: bool = False,
    ) -> GrowingWindow:
        """Return the window that was heard up to each of ``ends``, in seconds; the last one is asked for."""
        begin = round(start * RATE)
        lengths = tuple(round(end * RATE) - begin for end in ends)
        audio = WindowAudio(stream, begin, self._pcm[begin : begin + lengths[-1]])
        return GrowingWindow(audio, None if whole or rough else lengths[:-1], kept=kept, rough=rough)

    def hear(self, *windows: GrowingWindow) -> Tensor:
        """Return the keys and values of the audio, ``(2, L, B, H, n_audio_ctx, D_head)``."""
        with torch.inference_mode():
            cache = self._decoder.open(len(windows), capacity=1)
            cache.fixed_memory = True  # all positions are read
            self.windows.encode(windows, cache)
            return torch.stack([cache.cross_keys, cache.cross_values]).clone()


@pytest.fixture
def encoder(model: Whisper, talk: Talk) -> Encoder:
    return Encoder(model, talk)


def reference(model: Whisper, talk: Talk, start: float, ends: Sequence[float]) -> Tensor:
    """Return the keys and values that the reference computes."""
    reference, before = ReferenceEncoder(model), 0
    begin = round(start * RATE)
    for end in ends:
        length = round(end * RATE) - begin
        now = positions_of(length)
        recomputed, margin = Margins()
        first, last = (max(0, before - recomputed), min(1500, now + margin)) if before else (0, 1500)
        reference.update(spectrogram(talk.pcm[begin : begin + length]), first, last)
        before = now
    return by_heads(reference, model)


def by_heads(reference: ReferenceEncoder, model: Whisper) -> Tensor:
    """Return the keys and values of the audio, ``(2, L, H, n_audio_ctx, D_head)``."""
    keys_and_values = reference.cross()
    two, layers, positions, _ = keys_and_values.shape
    return keys_and_values.view(two, layers, positions, model.dims.n_text_head, -1).transpose(2, 3)


def _same(found: Tensor, expected: Tensor) -> bool:
    """Return whether two results differ by rounding alone, as if frames were computed in other batches."""
    return bool((found - expected).abs().max() < 1e-4)


ENDS = (1.0, 1.5, 2.0, 2.5, 3.03, 3.5, 6.0, 6.5, 7.0, 7.5)


def test_a_growing_window_is_encoded_as_the_reference_does(
    encoder: Encoder, model: Whisper, talk: Talk
) -> None:
    for count in (1, 2, 5, len(ENDS)):
        found = encoder.hear(encoder.window("s", 0.25, ENDS[:count]))[:, :, 0]
        assert (found - reference(model, talk, 0.25, ENDS[:count])).abs().max() < 1e-3


def test_a_window_of_almost_thirty_seconds_is_encoded_as_the_reference_does(
    model: Whisper, talk: Talk
) -> None:
    pcm = np.resize(talk.pcm, 30 * RATE)
    long = Talk(talk.path, pcm, talk.text, talk.words)
    encoder = Encoder(model, long)
    found = encoder.hear(encoder.window("s", 0, (20.0, 29.2, 29.7)))[:, :, 0]
    assert (found - reference(model, long, 0, (20.0, 29.2, 29.7))).abs().max() < 1e-3


def test_the_first_update_is_that_of_the_whole_encoder(encoder: Encoder) -> None:
    grown = encoder.hear(encoder.window("s", 0, (9.0,)))
    whole = encoder.hear(encoder.window("s", 0, (9.0,), whole=True))
    assert (grown - whole).abs().max() < 1e-4


def test_later_updates_differ_from_the_whole_encoder_but_little(encoder: Encoder) -> None:
    grown = encoder.hear(encoder.window("s", 0, (8.0, 8.5, 9.0)))
    whole = encoder.hear(encoder.window("s", 0, (9.0,), whole=True))
    difference = (grown - whole)[..., : 9 * 50, :].norm() / whole[..., : 9 * 50, :].norm()
    assert 0.001 < difference < 0.1


def test_a_rough_window_is_an_update_of_the_empty_one(model: Whisper, talk: Talk) -> None:
    encoder, other = Encoder(model, talk), Encoder(model, talk)
    rough = encoder.window("s", 3.0, (5.0,), kept=False, rough=True)
    alone = encoder.hear(rough)
    spectrograms = ReferenceEncoder(model)
    spectrograms.update(spectrogram(talk.pcm[:0]), 0, 1500)
    spectrograms.update(spectrogram(talk.pcm[3 * RATE : 5 * RATE]), 0, 100 + Margins().after)
    assert (alone[:, :, 0] - by_heads(spectrograms, model)).abs().max() < 1e-3
    # It differs little from the whole encoder, and leaves no trace.
    whole = encoder.hear(encoder.window("s", 3.0, (5.0,), whole=True))
    assert 0.001 < (alone - whole)[..., :100, :].norm() / whole[..., :100, :].norm() < 0.2
    for count in (1, 2, 3):
        growing = encoder.window("s", 0, ENDS[:count])
        found = encoder.hear(rough, growing)
        assert _same(found[:, :, :1], alone)
        assert _same(found[:, :, 1:], other.hear(other.window("s", 0, ENDS[:count])))
    assert _same(encoder.hear(rough, rough)[:, :, 1:], alone)


def test_a_failed_update_of_the_empty_window_is_made_good(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rough = encoder.window("s", 3.0, (5.0,), kept=False, rough=True)
    expected = encoder.hear(rough)

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr("whisper_service.model.network.incremental.transform", fail)
        with pytest.raises(RuntimeError):
            encoder.hear(rough)
    assert _same(encoder.hear(rough), expected)


def test_a_lost_state_is_walked_again(encoder: Encoder) -> None:
    for count in range(1, len(ENDS) + 1):
        kept = encoder.hear(encoder.window("kept", 0, ENDS[:count]))
        lost = encoder.hear(encoder.window("lost", 0, ENDS[:count]))
        encoder.windows.forget("lost")
        assert _same(kept, lost)


def test_streams_that_share_too_few_slots_are_encoded_all_the_same(model: Whisper, talk: Talk) -> None:
    many, one = Encoder(model, talk), Encoder(model, talk, slots=1)
    for count in (1, 2, 3):
        for stream, start in (("a", 0.0), ("b", 3.0), ("c", 8.0)):
            ends = [start + end for end in ENDS[:count]]
            window = many.window(stream, start, ends)
            assert _same(many.hear(window), one.hear(window))


def test_an_update_that_is_not_kept_leaves_no_trace(model: Whisper, talk: Talk) -> None:
    shown, other = Encoder(model, talk), Encoder(model, talk)
    shown.hear(shown.window("s", 0, (0.7,), kept=False))
    for count in range(1, len(ENDS) + 1):
        ends = ENDS[:count]
        assert _same(shown.hear(shown.window("s", 0, ends)), other.hear(other.window("s", 0, ends)))
        display = shown.window("s", 0, (*ends, ends[-1] + 0.3), kept=False)
        first = shown.hear(display)
        assert _same(shown.hear(display), first)


def test_an_update_that_is_asked_for_again_computes_nothing(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encoder.hear(encoder.window("s", 0, (1.0, 1.5)))

    def fail(*args: object) -> None:
        raise AssertionError("an update was computed")

    monkeypatch.setattr(IncrementalEncoder, "update", fail)
    assert _same(encoder.hear(encoder.window("s", 0, (1.0, 1.5))), first)
    # The last request of an utterance may end where the grid has been heard already.
    assert _same(encoder.hear(encoder.window("s", 0, (1.0, 1.5, 1.5), kept=False)), first)


def test_a_slot_that_was_used_before_is_as_good_as_a_new_one(model: Whisper, talk: Talk) -> None:
    used, new = Encoder(model, talk, slots=1), Encoder(model, talk, slots=1)
    used.hear(used.window("s", 0, (8.0, 12.0)))
    used.hear(used.window("s", 0, (8.0, 12.0, 15.0), kept=False))
    for ends in ((14.0,), (14.0, 14.5)):
        assert _same(used.hear(used.window("s", 13, ends)), new.hear(new.window("s", 13, ends)))


def test_a_failed_update_is_made_good(model: Whisper, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    failing, other = Encoder(model, talk), Encoder(model, talk)
    failing.hear(failing.window("s", 0, (2.0,)))
    compute = IncrementalEncoder._compute

    def fail(self: IncrementalEncoder, *args: object) -> None:
        compute(self, *args)  # type: ignore[arg-type]
        raise torch.OutOfMemoryError

    for kept in (True, False):
        with monkeypatch.context() as patch, pytest.raises(torch.OutOfMemoryError):
            patch.setattr(IncrementalEncoder, "_compute", fail)
            failing.hear(failing.window("s", 0, (2.0, 2.5), kept=kept))
    ends = (2.0, 2.5, 3.0)
    assert _same(failing.hear(failing.window("s", 0, ends)), other.hear(other.window("s", 0, ends)))


def test_windows_of_a_batch_are_encoded_as_alone(model: Whisper, talk: Talk) -> None:
    """Growing ones of different ages, one that is only shown, and a whole one."""
    together, alone = Encoder(model, talk), Encoder(model, talk)
    for count in (1, 2, 6):
        windows = [
            together.window("a", 0, ENDS[:count]),
            together.window("b", 3, [3 + end for end in ENDS[: count + 2]], kept=False),
            together.window("c", 5, (9.0,), whole=True),
        ]
        found = together.hear(*windows)
        for row, window in enumerate(windows):
            assert _same(found[:, :, row], alone.hear(window)[:, :, 0])


def test_ranges_of_several_windows_can_be_computed_together(
    model: Whisper, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: each range is padded to one of a few lengths, and nothing is written outside of it."""
    together, alone = Encoder(model, talk), Encoder(model, talk)
    monkeypatch.setattr("whisper_service.model.network.incremental.computes_together", lambda device: True)
    for count in (1, 2, 3, 8):
        windows = [
            together.window("a", 0, ENDS[:count]),
            together.window("b", 3, [3 + end for end in ENDS[: count + 2]], kept=False),
            together.window("c", 5, (20.0, 20.5)),
        ]
        found = together.hear(*windows)
        with monkeypatch.context() as patch:
            patch.setattr("whisper_service.model.network.incremental.computes_together", lambda device: False)
            for row, window in enumerate(windows):
                assert (found[:, :, row] - alone.hear(window)[:, :, 0]).abs().max() < 1e-4


def test_a_stream_has_one_window_in_a_batch(encoder: Encoder) -> None:
    window = encoder.window("s", 0, (1.0,))
    with pytest.raises(ValueError, match="one stream"):
        encoder.hear(window, window)

"""The decoder reads one of eight positions of the silence at the end of a window, for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from whisper.audio import log_mel_spectrogram, pad_or_trim
from whisper.model import Whisper

from tests.conftest import Talk
from whisper_service.model.network.cache import SILENCE_STEP
from whisper_service.model.network.decoder import Decoder
from whisper_service.model.network.encoder import encode, positions_of
from whisper_service.model.network.precision import Precision
from whisper_service.model.network.weights import decoder_weights, encoder_weights

CPU = torch.device("cpu")
RATE = 16_000
TOKENS = torch.tensor([[50257, 50362, 464, 717, 3280, 373, 284, 1487]])
#: The lengths of two windows, in seconds.
SECONDS = (4.0, 9.5)


class Reader:
    """A decoder that reads the encoded audio of windows."""

    def __init__(self, model: Whisper, talk: Talk) -> None:
        weights = encoder_weights(model, Precision.FLOAT32, CPU)
        self._decoder = Decoder(decoder_weights(model, Precision.FLOAT32, CPU), audio_positions=1500)
        spectrograms = [
            log_mel_spectrogram(pad_or_trim(torch.from_numpy(talk.pcm[: round(seconds * RATE)])))
            for seconds in SECONDS
        ]
        self._audio = encode(weights, torch.stack(spectrograms))

    def read(self, windows: Sequence[int], *, sampled: Sequence[bool], keep: int | None = None) -> Tensor:
        """Return the attention to the audio, ``(B, A, T, heard)``, of some of the windows.

        :param sampled: for each window, whether its silence is sampled.
        :param keep: the only row that is kept before the tokens are read.
        """
        cache = self._decoder.open(len(windows), capacity=TOKENS.shape[1] + 1)
        for row, window in enumerate(windows):
            keys_and_values = self._decoder.project(self._audio[window : window + 1])[0].permute(
                2, 1, 3, 0, 4
            )
            end = positions_of(round(SECONDS[window] * RATE))
            cache.hear(row, keys_and_values, silence=end + 25 if sampled[row] else None)
        if keep is not None:
            cache.keep([keep])
        rows = len(cache.lengths)
        _, attention = self._decoder.forward(TOKENS.expand(rows, -1), [TOKENS.shape[1]] * rows, cache)
        return attention


@pytest.fixture
def reader(model: Whisper, talk: Talk) -> Reader:
    with torch.inference_mode():
        return Reader(model, talk)


@pytest.mark.parametrize("window", [0, 1])
@torch.inference_mode()
def test_the_audio_gets_the_attention_that_it_gets_beside_all_of_the_silence(
    reader: Reader, window: int
) -> None:
    whole = reader.read([window], sampled=[False])
    sampled = reader.read([window], sampled=[True])
    audio = positions_of(round(SECONDS[window] * RATE))
    assert whole.shape[-1] == 1500 and sampled.shape[-1] <= audio + 25 + (1500 - audio) // SILENCE_STEP
    assert (sampled[..., :audio] - whole[..., :audio]).abs().max() < 0.001
    # The silence gets more of it than that, or this would prove nothing.
    assert whole[..., audio:].sum(-1).max() > 0.01
    assert torch.allclose(sampled.sum(-1), torch.ones(()))


@pytest.mark.parametrize("sampled", [(True, True), (True, False), (False, True)])
@torch.inference_mode()
def test_windows_of_a_batch_are_read_as_alone(reader: Reader, sampled: tuple[bool, bool]) -> None:
    together = reader.read([0, 1], sampled=sampled)
    kept = reader.read([0, 1], sampled=sampled, keep=1)
    for row in range(2):
        alone = reader.read([row], sampled=[sampled[row]])
        assert (together[row, ..., : alone.shape[-1]] - alone[0]).abs().max() < 1e-5
        assert not together[row, ..., alone.shape[-1] :].any()
    assert (kept[0] - together[1]).abs().max() < 1e-5

"""Scratch memory is reused."""

from __future__ import annotations

import resource

import pytest
import torch
from whisper.model import ModelDimensions, Whisper

from whisper_service.model.network.decoder import Decoder
from whisper_service.model.network.precision import Precision
from whisper_service.model.network.scratch import Scratch
from whisper_service.model.network.weights import decoder_weights


def test_a_smaller_tensor_lies_in_the_memory_of_a_larger_one() -> None:
    scratch = Scratch()
    first = scratch.tensor("a", (3, 4), like=torch.zeros(1))
    assert first.shape == (3, 4)
    assert scratch.tensor("a", (2, 5), like=torch.zeros(1)).data_ptr() == first.data_ptr()
    assert scratch.tensor("b", (2, 5), like=torch.zeros(1)).data_ptr() != first.data_ptr()
    assert scratch.tensor("a", (5, 5), like=torch.zeros(1)).shape == (5, 5)
    assert scratch.tensor("a", (2,), like=torch.zeros(1, dtype=torch.int64)).dtype is torch.int64


@pytest.mark.parametrize("layers", [2, 6])
def test_keys_and_values_of_the_audio_cost_no_fresh_pages(layers: int) -> None:
    """Six layers of the width of base are 37 MB, which glibc would return to the system after each batch."""
    dims = ModelDimensions(80, 1500, 512, 8, 1, 1000, 448, 512, 8, layers)
    model = Whisper(dims).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(std=0.02)
    decoder = Decoder(
        decoder_weights(model, Precision.FLOAT32, torch.device("cpu")), audio_positions=dims.n_audio_ctx
    )
    audio = torch.randn(1, 1500, 512)

    def hear() -> None:
        joined = decoder.project(audio)[0]
        decoder.open(1, capacity=8).hear(0, joined.permute(2, 1, 3, 0, 4))

    with torch.inference_mode():
        for _ in range(3):
            hear()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        hear()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2_000

"""The incremental encoder computes what the reference computes, with OpenAI's weights and a human voice."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import Talk
from tests.model.network.test_incremental import Encoder, reference
from tests.servers import ROOT
from tests.weights.conftest import checkpoint
from whisper_service.audio.decode import decode
from whisper_service.model.checkpoints.find import find_checkpoint
from whisper_service.model.checkpoints.load import load_model

pytestmark = [pytest.mark.weights, pytest.mark.brief]

ENDS = (3.0, 3.5, 4.0, 4.5, 6.0, 6.5)


@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_a_growing_window_is_encoded_as_the_reference_does(name: str) -> None:
    model = load_model(find_checkpoint(str(checkpoint(name)), deadline_s=0))
    path = ROOT / "tests" / "data" / "human" / "real-00.flac"
    talk = Talk(path, decode(path.read_bytes()).samples, "", [])
    encoder = Encoder(model, talk)
    for count in (1, 2, len(ENDS)):
        found = encoder.hear(encoder.window("s", 1.0, ENDS[:count]))[:, :, 0]
        expected = reference(model, talk, 1.0, ENDS[:count])
        assert (found - expected).abs().max() < 1e-3 * max(1.0, float(expected.abs().max()))
    assert torch.isfinite(found).all()

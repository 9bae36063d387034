"""The choice of the device on which a model runs."""

import pytest
import torch

from whisper_service.errors import ConfigError, ModelUnavailable
from whisper_service.model.network.device import resolve_device


def test_resolve_device_prefers_a_gpu_only_where_there_is_one() -> None:
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("text", ["gpu", "cuda:", "cuda:x", "cpu:0", "auto:1", ""])
def test_resolve_device_refuses_other_words(text: str) -> None:
    with pytest.raises(ConfigError, match=f"WHISPER_DEVICE is '{text}'"):
        resolve_device(text)


@pytest.mark.parametrize("text", ["cuda", "cuda:1"])
def test_resolve_device_says_what_to_do_without_a_gpu(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelUnavailable, match="set WHISPER_DEVICE to 'cpu' or 'auto'"):
        resolve_device(text)

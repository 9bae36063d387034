"""Checkpoints onto devices."""

from pathlib import Path

import pytest
import torch
import whisper

from tests.conftest import CHECKPOINT as DEMO
from whisper_service.errors import ConfigError, ModelUnavailable
from whisper_service.model.checkpoint import Checkpoint
from whisper_service.model.loading import load_model, resolve_device


def test_load_model_gives_a_frozen_float32_model() -> None:
    model = load_model(Checkpoint(DEMO, "micro.en", False))
    assert {(weight.dtype, weight.requires_grad) for weight in model.parameters()} == {(torch.float32, False)}
    assert not model.training


def _keep_dump(model: whisper.Whisper, dump: bytes) -> None:
    model.dump = dump


def test_load_model_sets_the_alignment_heads_of_official_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper.Whisper, "set_alignment_heads", _keep_dump)
    model = load_model(Checkpoint(DEMO, "tiny.en", True))
    assert model.dump == whisper._ALIGNMENT_HEADS["tiny.en"]


@pytest.mark.parametrize("contents", [b"", b"hello", bytes(1000)])
def test_load_model_refuses_what_is_no_checkpoint(contents: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(contents)
    with pytest.raises(ModelUnavailable, match="broken.pt cannot be loaded: it is damaged"):
        load_model(Checkpoint(path, "broken", False))


def test_load_model_refuses_a_checkpoint_of_another_kind(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ModelUnavailable, match="no checkpoint in Whisper's own format"):
        load_model(Checkpoint(tmp_path / "other.pt", "other", False))


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

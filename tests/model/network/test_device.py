"""The choice of the device on which a model runs."""

import os
from pathlib import Path

import pytest
import torch

from whisper_service.errors import ConfigError, ModelUnavailable
from whisper_service.model.network.device import free_memory, resolve_device


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


def test_free_memory_of_the_machine() -> None:
    assert 2**26 < free_memory(torch.device("cpu")) < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(("limit", "expected"), [("max", None), ("3000000", 1_000_000), ("1000000", 0)])
def test_free_memory_of_a_container(
    limit: str, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("anon 2000000\ninactive_file 500000\n")
    monkeypatch.setattr("whisper_service.model.network.device.CONTAINER", tmp_path)
    found = free_memory(torch.device("cpu"))
    assert found > 2**26 if expected is None else found == expected

"""The search for the files of a model, by name or path."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import whisper

from tests.conftest import CHECKPOINT as DEMO
from whisper_service.errors import ModelUnavailable
from whisper_service.model.checkpoints.find import find_checkpoint

CONTENTS = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENTS).hexdigest()

Fetch = Callable[[str, Path | None, float], Path]


def no_network(name: str, cache_dir: Path | None, deadline_s: float) -> Path:
    raise ModelUnavailable(f"no network for {name}")


def only(name: str) -> Fetch:
    """Return a function that can fetch only the model ``name``."""

    def fetch(wanted: str, cache_dir: Path | None, deadline_s: float) -> Path:
        if wanted != name:
            return no_network(wanted, cache_dir, deadline_s)
        assert cache_dir is not None
        return cache_dir / name

    return fetch


def test_find_checkpoint_takes_a_file(tmp_path: Path) -> None:
    found = find_checkpoint(str(DEMO), deadline_s=0, cache_dir=tmp_path)
    assert (found.path, found.name, found.official) == (DEMO, "micro.en", False)


def test_find_checkpoint_takes_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "whisper-small.nl").mkdir()
    found = find_checkpoint(str(tmp_path / "whisper-small.nl"), deadline_s=0)
    assert (found.name, found.official) == ("whisper-small.nl", False)
    monkeypatch.chdir(tmp_path / "whisper-small.nl")
    assert find_checkpoint(".", deadline_s=0).name == "whisper-small.nl"


def test_find_checkpoint_refuses_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="There is no checkpoint .*: correct the path"):
        find_checkpoint(str(tmp_path / "none.pt"), deadline_s=0)


def test_find_checkpoint_refuses_an_unknown_name() -> None:
    with pytest.raises(ModelUnavailable, match=r"There is no model 'huge'.*one of tiny\.en, tiny, base\.en"):
        find_checkpoint("huge", deadline_s=0)


def test_find_checkpoint_never_downloads_without_time(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="downloads are switched off.*-m whisper_service"):
        find_checkpoint("tiny", deadline_s=0, cache_dir=tmp_path)


def test_find_checkpoint_uses_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(whisper._MODELS, "tiny", f"https://nowhere.invalid/{SHA256}/tiny.pt")
    (tmp_path / "tiny.pt").write_bytes(CONTENTS)
    found = find_checkpoint("tiny", deadline_s=5, cache_dir=tmp_path, fetch=no_network)
    assert (found.path, found.official) == (tmp_path / "tiny.pt", True)


def test_find_checkpoint_fetches_what_is_not_cached(tmp_path: Path) -> None:
    found = find_checkpoint("tiny", deadline_s=5, cache_dir=tmp_path, fetch=only("tiny"))
    assert (found.path, found.name, found.official) == (tmp_path / "tiny", "tiny", True)


def test_find_checkpoint_asks_for_repositories_each_time(tmp_path: Path) -> None:
    name = "hf:someone/whisper-small-nl@v2"
    found = find_checkpoint(name, deadline_s=0, cache_dir=tmp_path, fetch=only(name))
    assert (found.path, found.name, found.official) == (tmp_path / name, name, False)


def test_auto_is_base_en_without_a_warning(tmp_path: Path) -> None:
    found = find_checkpoint("auto", deadline_s=5, cache_dir=tmp_path, demo=DEMO, fetch=only("base.en"))
    assert (found.name, found.warnings) == ("base.en", ())


def test_auto_falls_back_to_tiny_en_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = find_checkpoint("auto", deadline_s=5, cache_dir=tmp_path, demo=DEMO, fetch=only("tiny.en"))
    assert (found.path, found.name, found.official) == (tmp_path / "tiny.en", "tiny.en", True)
    assert found.warnings[0].startswith("The smallest English model listens, tiny.en,")
    assert "no network for base.en" in caplog.text and found.warnings[0] in caplog.text


def test_auto_falls_back_to_the_demonstration_with_a_warning(tmp_path: Path) -> None:
    found = find_checkpoint("auto", deadline_s=5, cache_dir=tmp_path, demo=DEMO, fetch=no_network)
    assert found.path == DEMO
    assert found.warnings[0].startswith("Demonstration model: it understands only the synthetic voices")


def test_auto_fails_without_a_demonstration(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no network for tiny.en"):
        find_checkpoint("auto", deadline_s=5, cache_dir=tmp_path, demo=tmp_path / "none", fetch=no_network)


def test_an_explicit_name_never_falls_back(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no network for base.en"):
        find_checkpoint("base.en", deadline_s=5, cache_dir=tmp_path, demo=DEMO, fetch=no_network)

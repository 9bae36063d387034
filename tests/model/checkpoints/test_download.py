"""Downloads from a server that is slow, sends wrong data, or falls silent."""

from __future__ import annotations

import hashlib
import multiprocessing
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from whisper_service.model.checkpoints.download import Source, Unreachable, download

CONTENTS = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENTS).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.hits.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENTS)))
        self.end_headers()
        self.wfile.write(CONTENTS[:1000])
        if self.path == "/hang":
            self.server.released.wait(30)
            return
        time.sleep(0.5)  # long enough for the second process to ask for the file
        self.wfile.write(CONTENTS[1000:])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.hits, server.released = [], threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def source(server: ThreadingHTTPServer, path: str = "/model", sha256: str = SHA256) -> Source:
    return Source(f"http://127.0.0.1:{server.server_port}{path}", sha256, "tiny.pt")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"tiny.pt.lock"}


def test_download_writes_the_file(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    path = download(source(server), tmp_path / "new", deadline_s=20)
    assert path.read_bytes() == CONTENTS
    assert names(tmp_path / "new") == {"tiny.pt"}


def test_download_reports_progress(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    download(source(server), tmp_path, deadline_s=20, progress=lambda *step: seen.append(step))
    assert seen[-1] == (len(CONTENTS), len(CONTENTS))


def test_download_replaces_a_broken_file(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "tiny.pt").write_bytes(CONTENTS[:5000])
    assert download(source(server), tmp_path, deadline_s=20).read_bytes() == CONTENTS


def test_download_refuses_a_wrong_checksum(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="SHA-256 is wrong"):
        download(source(server, sha256="0" * 64), tmp_path, deadline_s=20)
    assert names(tmp_path) == set()


def test_download_keeps_its_deadline(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable, match="fell silent, or did not deliver it within 0.5 s"):
        download(source(server, "/hang"), tmp_path, deadline_s=0.5)
    assert time.monotonic() - began < 3
    assert names(tmp_path) == set()


def test_download_names_the_http_status(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="HTTP status 404"):
        download(source(server, "/missing"), tmp_path, deadline_s=20)


def test_download_says_that_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unreachable, match="cannot be written"):
        download(Source("http://127.0.0.1:1/", SHA256, "tiny.pt"), tmp_path / "file", deadline_s=5)


def test_two_processes_fetch_only_once(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    order = {"target": download, "args": (source(server), tmp_path), "kwargs": {"deadline_s": 60}}
    both = [spawn.Process(**order) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    assert server.hits == ["/model"]

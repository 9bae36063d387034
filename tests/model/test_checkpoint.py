import hashlib
import multiprocessing
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import whisper

from whisper_service.errors import ModelUnavailable
from whisper_service.model import checkpoint
from whisper_service.model.checkpoint import Source, fetch_checkpoint, find_checkpoint

DEMO = Path(__file__).resolve().parents[2] / "models" / "micro.en.pt"
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
        time.sleep(0.5)  # long enough for a second process to arrive
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


def no_network(name: str, cache_dir: Path, deadline_s: float) -> None:
    raise ModelUnavailable(f"no network for {name}")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"tiny.pt.lock"}


def test_fetch_checkpoint_writes_the_file(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    path = fetch_checkpoint(source(server), tmp_path / "new", deadline_s=20)
    assert path.read_bytes() == CONTENTS
    assert names(tmp_path / "new") == {"tiny.pt"}


def test_fetch_checkpoint_reports_progress(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch_checkpoint(source(server), tmp_path, deadline_s=20, progress=lambda *step: seen.append(step))
    assert seen[-1] == (len(CONTENTS), len(CONTENTS))


def test_fetch_checkpoint_replaces_a_broken_file(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "tiny.pt").write_bytes(CONTENTS[:5000])
    assert fetch_checkpoint(source(server), tmp_path, deadline_s=20).read_bytes() == CONTENTS


def test_fetch_checkpoint_refuses_a_wrong_checksum(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="SHA-256 is wrong"):
        fetch_checkpoint(source(server, sha256="0" * 64), tmp_path, deadline_s=20)
    assert names(tmp_path) == set()


def test_fetch_checkpoint_keeps_its_deadline(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match="fell silent, or did not deliver it within 0.5 s"):
        fetch_checkpoint(source(server, "/hang"), tmp_path, deadline_s=0.5)
    assert time.monotonic() - began < 3
    assert names(tmp_path) == set()


def test_fetch_checkpoint_names_the_http_status(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"HTTP status 404.*Fetch it beforehand"):
        fetch_checkpoint(source(server, "/missing"), tmp_path, deadline_s=20)


def test_fetch_checkpoint_says_that_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnavailable, match="cannot be written"):
        fetch_checkpoint(Source("http://127.0.0.1:1/", SHA256, "tiny.pt"), tmp_path / "file", deadline_s=5)


def test_two_processes_fetch_only_once(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    order = {"target": fetch_checkpoint, "args": (source(server), tmp_path), "kwargs": {"deadline_s": 60}}
    both = [spawn.Process(**order) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    assert server.hits == ["/model"]


def test_fetch_in_subprocess_hands_on_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnavailable, match="tiny.en is not available. The file cannot be written"):
        checkpoint.fetch_in_subprocess("tiny.en", tmp_path / "file", 5)


def test_main_prints_one_line_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checkpoint.main(["huge", "--cache", str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("There is no model 'huge'")


def test_find_checkpoint_takes_a_path(tmp_path: Path) -> None:
    found = find_checkpoint(str(DEMO), deadline_s=0, cache_dir=tmp_path)
    assert (found.path, found.name, found.official) == (DEMO, "micro.en", False)


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
    asked: list[tuple[str, Path, float]] = []
    find_checkpoint("tiny", deadline_s=5, cache_dir=tmp_path, fetch=lambda *order: asked.append(order))
    assert asked == [("tiny", tmp_path, 5)]


def test_auto_falls_back_to_the_demonstration_with_a_warning(tmp_path: Path) -> None:
    found = find_checkpoint("auto", deadline_s=5, cache_dir=tmp_path, demo=DEMO, fetch=no_network)
    assert found.path == DEMO
    assert found.warnings[0].startswith("Demonstration model: it understands only the synthetic voices")


def test_auto_fails_without_a_demonstration(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no network for base.en"):
        find_checkpoint("auto", deadline_s=5, cache_dir=tmp_path, demo=tmp_path / "none", fetch=no_network)


def test_an_explicit_name_never_falls_back(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no network for base.en"):
        find_checkpoint("base.en", deadline_s=5, cache_dir=tmp_path, demo=DEMO, fetch=no_network)

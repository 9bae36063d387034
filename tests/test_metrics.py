"""The figures for Prometheus, as its own parser reads them."""

from __future__ import annotations

import os
import re
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.servers import MODEL, ROOT, Server, free_port, running, wait_until, wait_until_ready
from tests.talks import Client, sentences, stream_talk
from whisper_service.lag import Delays
from whisper_service.metrics import Metrics
from whisper_service.web.keys import hash_of, make

RATE = 16_000


def _figures(server: Server, path: str = "/metrics") -> dict[str, float]:
    """Return all samples by name and labels, such as ``whisper_errors_total code=bad_base64``."""
    families = text_string_to_metric_families(server.get(path).decode())
    samples = [sample for family in families for sample in family.samples]

    def name(labels: dict[str, str]) -> str:
        return "".join(f" {label}={value}" for label, value in labels.items() if label != "pid")

    return {sample.name + name(sample.labels): sample.value for sample in samples}


def test_a_stream_shows_in_the_figures(tmp_path: Path) -> None:
    port, said = free_port(), sentences()
    settings = {"PORT": str(port), "WHISPER_MODEL": MODEL}
    with running(["app.py"], port=port, log_path=tmp_path / "log", **settings) as server:
        wait_until_ready(server)
        before = _figures(server)
        assert before["whisper_streams"] == before["whisper_finals_total"] == 0
        with Client(server.ws("/transcribe")) as client:
            client.send(["?", *said.wavs()])
            client.wait_for("final")
            assert _figures(server)["whisper_streams"] == 1
            client.control("stop")
            heard = client.heard()
        assert wait_until(lambda: _figures(server)["whisper_streams"] == 0)
        try:
            with connect(server.ws("/transcribe"), origin="https://evil.example", proxy=None):
                raise AssertionError("the page was let in")
        except InvalidStatus:
            pass
        after = _figures(server)
    finals, partials = len(heard.of("final")), len(heard.of("partial"))
    assert after["whisper_streams_opened_total"] == 1
    assert abs(after["whisper_audio_seconds_total"] - said.samples.shape[0] / RATE) < 0.01
    assert after["whisper_finals_total"] == after["whisper_final_delay_seconds_count"] == finals
    assert 0 < after["whisper_display_delay_seconds_count"] <= partials
    assert after["whisper_errors_total code=bad_base64"] == 1
    assert after["whisper_refusals_total reason=forbidden"] == 1
    batches = after["whisper_batch_seconds_count"]
    assert batches == after["whisper_batch_size_count"] > 3
    assert after["whisper_queue_seconds_count"] == after["whisper_batch_size_sum"] >= batches
    assert 0 < after["whisper_batch_seconds_sum"] < 60 and after["whisper_queue_seconds_sum"] < 60


def _status(server: Server, **headers: str) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/metrics", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10):
            return 200
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_who_may_read_the_figures(tmp_path: Path) -> None:
    key = make()

    def statuses(**settings: str) -> list[int]:
        port = free_port()
        all_settings = {"PORT": str(port), "WHISPER_MODEL": "/nowhere.pt", **settings}
        with running(["app.py"], port=port, log_path=tmp_path / "log", **all_settings) as server:
            away = {"Host": "speech.example"}  # through a proxy on this machine
            bearer = {"Authorization": f"Bearer {key}"}
            return [_status(server), _status(server, **away), _status(server, **away, **bearer)]

    assert statuses() == [200, 401, 401]
    assert statuses(WHISPER_KEYS=f"prometheus:{hash_of(key)}") == [200, 401, 200]
    assert statuses(WHISPER_METRICS="open") == [200, 200, 200]
    assert statuses(WHISPER_METRICS="off") == [404, 404, 404]


def test_two_workers_answer_for_each_other_and_a_dead_one_has_no_streams(tmp_path: Path) -> None:
    port, figures = free_port(), tmp_path / "figures"
    figures.mkdir()
    (figures / "counter_1.db").write_bytes(b"of an earlier run")
    command = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "-w", "2", "-b", f"127.0.0.1:{port}", "app:app"]
    settings = {"WHISPER_MODEL": MODEL, "PROMETHEUS_MULTIPROC_DIR": str(figures)}
    with running(command, port=port, log_path=tmp_path / "log", **settings) as server:
        master = server.process.pid
        children = Path(f"/proc/{master}/task/{master}/children")
        assert wait_until(lambda: len(children.read_text().split()) == 2)
        assert wait_until(lambda: server.log().count("ready: micro.en") == 2, timeout_s=120)
        for _ in range(3):
            stream_talk(server.ws("/transcribe"), sentences().wavs()[:2])
        # Whichever worker answers, all three are counted.
        assert {_figures(server)["whisper_streams_opened_total"] for _ in range(10)} == {3.0}
        with Client(server.ws("/transcribe")) as client:
            client.send(sentences().wavs()[:1])
            assert wait_until(lambda: _figures(server)["whisper_streams"] == 1)
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            assert wait_until(lambda: _streams_or_nan(server) == 0, timeout_s=60), server.log()


def _streams_or_nan(server: Server) -> float:
    """Return the number of open streams; not a number while no worker answers."""
    try:
        return _figures(server)["whisper_streams"]
    except OSError:
        time.sleep(0.1)
        return float("nan")


def test_the_delay_of_a_word_counts_from_the_arrival_of_its_last_sample() -> None:
    delays = Delays()
    assert delays.of(1, 10.0) is None
    for index in range(300):
        delays.arrived((index + 1) * 8_000, at=float(index))
    assert delays.of(300 * 8_000, 300.0) == 1.0
    assert delays.of(299 * 8_000, 300.0) == 2.0
    assert delays.of(299 * 8_000 - 1, 300.0) == 2.0
    assert delays.of(299 * 8_000 + 1, 300.0) == 1.0
    assert delays.of(300 * 8_000 + 1, 300.0) is None
    assert delays.of(8_000, 300.0) is None  # it was long ago


def test_dashboard_and_docs_name_figures_that_exist() -> None:
    known = {
        family.name for family in text_string_to_metric_families(Metrics().text().decode())
    }  # without _total, _bucket and so on
    for name in ("grafana.json", "operations.md"):
        text = (ROOT / "docs" / name).read_text()
        named = set(re.findall(r"\bwhisper_(?!service\b)\w+", text))
        assert named
        assert {re.sub(r"_(total|bucket|sum|count)$", "", figure) for figure in named} <= known

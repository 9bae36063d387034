"""A server that is told to stop while its streams have a backlog: all learn what became of their words."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import MODEL, Server, free_port, running, status, wait_until, wait_until_ready
from tests.talks import Client, Heard, stream_talk, talk

STREAMS = 6
DRAIN_S = 3.0


@pytest.fixture(params=["app.py", "gunicorn"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    command = ["app.py"]
    if request.param == "gunicorn":
        command = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "-b", f"127.0.0.1:{port}", "app:app"]
    settings = {"PORT": str(port), "WHISPER_MODEL": MODEL, "WHISPER_DRAIN_TIMEOUT_S": str(DRAIN_S)}
    with running(command, port=port, log_path=tmp_path / "log", **settings) as running_server:
        wait_until_ready(running_server)
        yield running_server


def test_streams_with_a_backlog_are_told_what_is_lost_and_closed_with_1012(server: Server) -> None:
    spoken = talk("talk-00")
    frames = spoken.wavs() * 4  # more than the engine can do until the deadline, for six streams
    heard: list[Heard] = []

    def stream() -> None:
        with Client(server.ws("/transcribe")) as client:
            sender = threading.Thread(target=client.send, args=(frames,), daemon=True)
            sender.start()
            heard.append(client.heard())

    threads = [threading.Thread(target=stream) for _ in range(STREAMS)]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: server.log().count(": open") == STREAMS, timeout_s=30)
    time.sleep(2.0)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    if "gunicorn" not in str(server.process.args):
        # Who comes now is answered.
        assert wait_until(lambda: status(server, "/readyz") == (503, "draining"), timeout_s=2)
        late = stream_talk(server.ws("/transcribe"), [])
        assert (late.code, late.messages[-1]["code"]) == (1012, "draining")
    for thread in threads:
        thread.join(30)
    took_s = time.monotonic() - began
    server.process.wait(20)

    assert len(heard) == STREAMS and took_s < DRAIN_S + 4
    for one in heard:
        assert (one.code, one.reason) == (1012, "draining")
        error = one.messages[-1]
        assert (error["type"], error["code"], error["fatal"]) == ("error", "draining", True)
        assert re.search(r"has not come to the last \d+\.\d s", error["message"]), error
        assert not one.of("done")
    assert any(one.transcript for one in heard)


def test_a_process_that_was_stopped_for_long_gives_nobody_up(tmp_path: Path) -> None:
    port = free_port()
    settings = {"PORT": str(port), "WHISPER_MODEL": MODEL, "WHISPER_PING_INTERVAL_S": "1"}
    with running(["app.py"], port=port, log_path=tmp_path / "log", **settings) as server:
        wait_until_ready(server)
        spoken = talk("talk-00").until(7.2)
        wavs = spoken.wavs()
        with Client(server.ws("/transcribe")) as client:
            client.send(wavs[:6])
            client.wait_for("partial")
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(6.0)
            server.process.send_signal(signal.SIGCONT)
            time.sleep(1.5)
            client.send(wavs[6:])
            time.sleep(2.5)
            client.control("stop")
            heard = client.heard()
        assert heard.code == 1000 and not heard.of("error")
        assert heard.done["received_samples"] == spoken.samples.shape[0]

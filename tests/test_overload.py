"""More streams than a server can serve: some are served in time, the others are refused at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers import MODEL, Server, free_port, running, wait_until, wait_until_ready
from tests.talks import Client, Heard, Talk, talk

STREAMS = 30
#: The lag that docs/reliability.md states for streams that were taken, and the time until a refusal.
MOST_LAG_S, REFUSED_WITHIN_S = 4.0, 1.0


@contextmanager
def _server(folder: Path, fault: Path) -> Iterator[Server]:
    port = free_port()
    settings = {"WHISPER_MODEL": MODEL, "WHISPER_MAX_STREAMS": "auto", "FAULT": str(fault)}
    with running(
        ["-m", "tests.faulty_app"], port=port, log_path=folder / "log", PORT=str(port), **settings
    ) as server:
        wait_until_ready(server)
        yield server


class _Live(threading.Thread):
    """A client that sends a talk in real time."""

    def __init__(self, server: Server, said: Talk) -> None:
        super().__init__()
        self._server = server
        self._said = said
        self.took_s = 0.0
        self.heard: Heard | None = None

    def run(self) -> None:
        began = time.monotonic()
        with Client(self._server.ws("/transcribe")) as client:
            for index, wav in enumerate(self._said.wavs()):
                time.sleep(max(0.0, began + (index + 1) / 2 - time.monotonic()))
                client.send([wav])
            client.control("stop")
            self.heard = client.heard()
        self.took_s = time.monotonic() - began

    @property
    def refusal(self) -> dict[str, Any] | None:
        assert self.heard is not None
        return self.heard.messages[-1] if self.heard.code == 1013 else None


def _refused_within(server: Server) -> tuple[float, dict[str, Any]] | None:
    """Return after what time, and with which message, a new stream is refused; None if it is taken."""
    began = time.monotonic()
    with Client(server.ws("/transcribe")) as client:
        first = client.wait_for_any()
        if first["type"] == "ready":
            client.vanish()
            return None
        return time.monotonic() - began, first


def test_thirty_streams_at_once(tmp_path: Path) -> None:
    with _server(tmp_path, tmp_path / "fault") as server:
        said = talk("talk-00").until(11.0)
        clients = [_Live(server, said) for _ in range(STREAMS)]
        for client in clients:
            client.start()
        time.sleep(3.0)
        refused = _refused_within(server)
        assert refused is not None and refused[0] < REFUSED_WITHIN_S, refused
        for client in clients:
            client.join()
        taken = [client.heard for client in clients if client.refusal is None]
        refusals = [client.refusal for client in clients if client.refusal is not None]
        assert 1 <= len(taken) < STREAMS and len(taken) + len(refusals) == STREAMS
        assert all(refusal["code"] == "full" and refusal["retry_after_s"] > 0 for refusal in refusals)
        for heard in taken:
            assert heard is not None and heard.code == 1000
            assert heard.done["received_samples"] == said.samples.shape[0]
            assert max([lag["behind_s"] for lag in heard.of("lag")], default=0.0) < MOST_LAG_S
        texts = {heard.transcript for heard in taken if heard is not None}
        assert len(texts) == 1
        assert _refused_within(server) is None  # everything recovers


def test_an_engine_that_becomes_slower_takes_fewer_streams(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    # The model is left out, also when the engine warms up: its speed depends on what else the machine does.
    fault.write_text("each request takes 0.02 s")
    with _server(tmp_path, fault) as server:
        first = _Live(server, talk("talk-00").until(20))
        first.start()
        time.sleep(4.0)
        assert _refused_within(server) is None
        fault.write_text("each request takes 0.5 s")
        time.sleep(6.0)
        refused = _refused_within(server)
        assert refused is not None and refused[1]["code"] == "full"
        fault.write_text("each request takes 0.02 s")
        assert wait_until(lambda: _refused_within(server) is None, timeout_s=15)
        first.join()
        assert first.heard is not None and first.heard.code == 1000


@pytest.mark.parametrize("limit", [2])
def test_a_limit_is_a_limit(tmp_path: Path, limit: int) -> None:
    port = free_port()
    settings = {"PORT": str(port), "WHISPER_MAX_STREAMS": str(limit)}
    with running(["-m", "tests.fake_service"], port=port, log_path=tmp_path / "log", **settings) as server:
        wait_until_ready(server)
        with Client(server.ws("/transcribe")) as one, Client(server.ws("/transcribe")) as two:
            one.wait_for("ready")
            two.wait_for("ready")
            assert _refused_within(server) is not None

"""One server for all tests of bad input. Beside each of them a witness streams a talk on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bad_input.cases import MAX_AUDIO_S, MAX_MESSAGE_BYTES, SEND_TIMEOUT_S
from tests.servers import MODEL, Server, free_port, running, wait_until_ready
from tests.talks import sentences, stream_talk
from tests.witness import witness


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    settings = {
        "PORT": str(port),
        "WHISPER_MODEL": MODEL,
        "WHISPER_MAX_MESSAGE_BYTES": str(MAX_MESSAGE_BYTES),
        "WHISPER_MAX_AUDIO_S": str(MAX_AUDIO_S),
        "WHISPER_SEND_TIMEOUT_S": str(SEND_TIMEOUT_S),
    }
    log_path = tmp_path_factory.mktemp("bad_input") / "log"
    with running(["app.py"], port=port, log_path=log_path, **settings) as server:
        wait_until_ready(server)
        stream_talk(server.ws("/transcribe"), sentences().wavs())  # the first stream warms caches up
        yield server


@pytest.fixture(autouse=True)
def beside(server: Server) -> Iterator[None]:
    """Stream a talk over and over; fail if anything of the test shows in it, or a traceback in the log."""
    log_before = len(server.log())
    with witness(server):
        yield
    assert server.process.poll() is None
    assert "Traceback" not in server.log()[log_before:], server.log()[log_before:]

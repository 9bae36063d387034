"""One server for all tests of bad input. While they run, a witness streams a talk on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
        "WHISPER_GRID_MS": "2000",  # words are not the subject: a quarter of the usual updates
        "WHISPER_MAX_MESSAGE_BYTES": str(MAX_MESSAGE_BYTES),
        "WHISPER_MAX_AUDIO_S": str(MAX_AUDIO_S),
        "WHISPER_SEND_TIMEOUT_S": str(SEND_TIMEOUT_S),
        "WHISPER_MAX_MESSAGES_S": "100000",  # what fast clients do to the server is the subject
    }
    log_path = tmp_path_factory.mktemp("bad_input") / "log"
    with running(["app.py"], port=port, log_path=log_path, **settings) as server:
        wait_until_ready(server)
        stream_talk(server.ws("/transcribe"), sentences().wavs())  # the first stream warms caches up
        yield server


@pytest.fixture(scope="module")
def beside(server: Server) -> Iterator[Callable[[], None]]:
    """Stream a talk again and again while the tests of a file run."""
    with witness(server) as check:
        yield check


@pytest.fixture(autouse=True)
def undisturbed(server: Server, beside: Callable[[], None]) -> Iterator[None]:
    """Fail if a test disturbs the witness, ends the server, or leaves a traceback in its log."""
    log_before = len(server.log())
    yield
    beside()
    assert server.process.poll() is None
    assert "Traceback" not in server.log()[log_before:], server.log()[log_before:]

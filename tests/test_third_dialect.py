"""A protocol that the service does not know is a class and a route: ``dictation_app.py``."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.servers import MODEL, Server, free_port, running, wait_until_ready
from tests.talks import MAX_ERROR_RATE, talk, word_error_rate


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, log = free_port(), tmp_path_factory.mktemp("dictation") / "log"
    # The protocol is the subject, not the words: a quarter of the usual updates.
    settings = {"PORT": str(port), "WHISPER_MODEL": MODEL, "WHISPER_GRID_MS": "2000"}
    with running(["-m", "tests.dictation_app"], port=port, log_path=log, **settings) as server:
        wait_until_ready(server)
        yield server


def test_a_whole_talk_in_a_third_dialect(server: Server) -> None:
    spoken = talk("talk-00")
    with connect(server.ws("/dictation")) as client:
        client.send("HELLO")
        assert client.recv(timeout=60) == "HELLO micro.en"
        for wav in spoken.wavs():
            client.send(base64.b64encode(wav).decode())
        client.send("BYE")
        lines = []
        with pytest.raises(ConnectionClosed):
            while True:
                lines.append(str(client.recv(timeout=60)))
    assert lines[-1] == "BYE" and all(line.startswith("+") for line in lines[:-1])
    assert word_error_rate(spoken.text, "".join(line[1:] for line in lines[:-1])) <= MAX_ERROR_RATE
    assert client.close_code == 1000


def test_errors_are_told_in_the_dialect(server: Server) -> None:
    with connect(server.ws("/dictation")) as client:
        client.send(b"binary")
        assert client.recv(timeout=60) == "! bad_message"
        client.send("no base64!")
        assert client.recv(timeout=60) == "! bad_base64"

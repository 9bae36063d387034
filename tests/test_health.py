"""/readyz says no when the engine or the detector fails, and the first user is told at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.servers import MODEL, Server, free_port, running, status, wait_until, wait_until_ready
from tests.talks import Client, sentences, stream_talk

#: What the server does again and again, the code of the error, and the log's reason.
_FAULTS = {
    "each request raises": ("model_unavailable", "a request failed (RuntimeError)"),
    "the detector raises": ("internal", "the speech detector fails"),
    "the thread ends": ("model_unavailable", "the engine's thread has ended"),
}
_REQUEST_TIMEOUT_S = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, folder = free_port(), tmp_path_factory.mktemp("health")
    settings = {"PORT": str(port), "WHISPER_MODEL": MODEL, "FAULT": str(folder / "fault")}
    settings["REQUEST_TIMEOUT_S"] = str(_REQUEST_TIMEOUT_S)
    with running(["-m", "tests.faulty_app"], port=port, log_path=folder / "log", **settings) as server:
        yield server


def test_a_client_that_connects_and_says_nothing_is_let_go(server: Server) -> None:
    wait_until_ready(server)
    silent = [server.connect() for _ in range(1_050)]  # more than there are places
    for sock in silent[:5]:
        sock.sendall(b"GET /transcribe HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    for sock in silent:
        sock.settimeout(30)
        assert sock.recv(1_000) in (
            b"",
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-length: 0\r\n\r\n",
        )
        sock.close()
    assert status(server, "/readyz")[0] == 200


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_server_whose_model_fails_is_not_ready(server: Server, fault: str) -> None:
    code, reason = _FAULTS[fault]
    told = server.log_path.with_name("fault")
    wait_until_ready(server)
    told.write_text(fault)
    with Client(server.ws("/transcribe")) as client:
        began = time.monotonic()
        client.send(sentences().wavs())
        client.control("stop")
        heard = client.heard()
    assert time.monotonic() - began < 30  # the engine has been restarted meanwhile
    assert heard.messages[-1]["code"] == code and heard.code == 1011
    assert status(server, "/readyz") == (503, "The model fails; the server's log says why.")
    assert f"not ready: {reason}" in server.log()
    assert status(server, "/healthz")[0] == 200
    told.unlink()
    assert wait_until(lambda: status(server, "/readyz")[0] == 200, timeout_s=40)


@pytest.mark.parametrize("fault", ["each request raises", "the thread ends"])
def test_a_stream_outlives_a_failure_of_the_engine(server: Server, fault: str) -> None:
    """The engine is restarted while a talk comes in real time. No word is lost, and no error is told."""
    told = server.log_path.with_name("fault")
    wait_until_ready(server)
    said = sentences(until_s=7.2)
    undisturbed = stream_talk(server.ws("/transcribe"), said.wavs())
    noticed = server.log().count("not ready: ")

    def end_the_fault() -> None:
        wait_until(lambda: server.log().count("not ready: ") > noticed, timeout_s=20)
        told.unlink()

    ending = threading.Thread(target=end_the_fault)
    with Client(server.ws("/transcribe")) as client:
        for index, wav in enumerate(said.wavs()):
            client.send([wav])
            time.sleep(0.5)
            if index == 4:
                told.write_text(fault)
                ending.start()
        client.control("stop")
        heard = client.heard()
    ending.join()
    assert server.log().count("not ready: ") > noticed
    assert heard.code == 1000 and not heard.of("error")
    assert heard.transcript == undisturbed.transcript

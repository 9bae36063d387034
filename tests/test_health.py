"""/readyz says no when the engine or the detector fails, and the first user is told at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.servers import MODEL, Server, free_port, running, status, wait_until, wait_until_ready
from tests.talks import Client, sentences

#: The last one ends the engine for good.
_FAULTS = {
    "each request raises": ("internal", "a request failed (RuntimeError)"),
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
    assert time.monotonic() - began < 10
    assert heard.messages[-1]["code"] == code and heard.code == 1011
    assert status(server, "/readyz") == (503, "The model fails; the server's log says why.")
    assert f"not ready: {reason}" in server.log()
    assert status(server, "/healthz")[0] == 200
    told.unlink()
    if fault != "the thread ends":  # what works again is ready again
        assert wait_until(lambda: status(server, "/readyz")[0] == 200, timeout_s=20)

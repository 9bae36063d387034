"""/readyz says no when the engine or the detector fails, and the first user is told at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.servers import MODEL, free_port, running, status, wait_until, wait_until_ready
from tests.talks import Client, sentences

_FAULTS = {
    "the thread ends": ("model_unavailable", "the engine's thread has ended"),
    "each request raises": ("internal", "a request failed (RuntimeError)"),
    "the detector raises": ("internal", "the speech detector fails"),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_server_whose_model_fails_is_not_ready(fault: str, tmp_path: Path) -> None:
    code, reason = _FAULTS[fault]
    port, told = free_port(), tmp_path / "fault"
    settings = {"PORT": str(port), "WHISPER_MODEL": MODEL, "FAULT": str(told)}
    with running(["-m", "tests.faulty_app"], port=port, log_path=tmp_path / "log", **settings) as server:
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


def test_a_client_that_connects_and_says_nothing_is_let_go(tmp_path: Path) -> None:
    port = free_port()
    settings = {"PORT": str(port), "WHISPER_MODEL": MODEL}
    with running(["app.py"], port=port, log_path=tmp_path / "log", **settings) as server:
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

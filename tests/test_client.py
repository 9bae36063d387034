"""The command line's client, against a server that is scripted."""

from __future__ import annotations

import json
import ssl
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from websockets.sync.server import ServerConnection, serve

from tests.servers import free_port
from whisper_service.cli import main
from whisper_service.client import play

TLS = Path(__file__).resolve().parent / "data" / "tls"
_RAMP = np.arange(4_000, dtype="<i2")
DONE = {"type": "done", "received_samples": 8_000, "full_transcript": " Hello."}


@contextmanager
def _server(answers: list[dict[str, Any]]) -> Iterator[tuple[str, list[str | bytes]]]:
    """Run a server that gives ``answers`` once the client says stop; yield its address and what it gets."""
    got: list[str | bytes] = []

    def handle(socket: ServerConnection) -> None:
        socket.send(json.dumps({"type": "ready", "warnings": ["A fake."]}))
        for frame in socket:
            got.append(frame)
            if isinstance(frame, str):
                for answer in answers:
                    socket.send(json.dumps(answer))
                return

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/transcribe", got
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Half a second of a ramp, 8 kHz."""
    path = tmp_path / "recording.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(_RAMP.tobytes())
    return path


def _stream(recording: Path, url: str, *options: str) -> Result:
    arguments = ["stream", str(recording), "--url", url, "--speed", "50", "--slice-ms", "200", *options]
    return CliRunner().invoke(main, arguments)


def test_it_sends_all_samples_and_then_stop(recording: Path) -> None:
    with _server([DONE]) as (url, got):
        assert _stream(recording, url).exit_code == 0
    *slices, stop = got
    assert json.loads(str(stop)) == {"type": "stop"}
    assert b"".join(data for data in slices if isinstance(data, bytes)) == _RAMP.tobytes()


def test_it_shows_warnings_and_finals(recording: Path) -> None:
    final = {"type": "final", "text": " Hello.", "id": 0, "start": 0.0, "end": 0.4}
    with _server([{"type": "partial", "text": " Hel"}, final, DONE]) as (url, _):
        output = _stream(recording, url).output
    assert "A fake." in output and "Hello." in output


def test_json_prints_the_messages_as_they_are(recording: Path) -> None:
    with _server([DONE]) as (url, _):
        lines = _stream(recording, url, "--json").output.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["ready", "done"]


def test_a_fatal_error_is_one_line_and_status_1(recording: Path) -> None:
    error = {"type": "error", "code": "draining", "message": "Connect again.", "fatal": True}
    with _server([error]) as (url, _):
        result = _stream(recording, url)
    assert result.exit_code == 1 and "Error: Connect again." in result.output


def test_without_a_server_it_says_what_to_do(recording: Path) -> None:
    result = _stream(recording, f"ws://127.0.0.1:{free_port()}/transcribe")
    assert result.exit_code == 1 and "Run 'make serve', or give --url" in result.output


@contextmanager
def _closing(code: int) -> Iterator[str]:
    """Run a server that closes at once; yield its address."""
    with serve(lambda socket: socket.close(code), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/transcribe"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_goes_away_is_no_missing_server(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "_GIVE_UP_S", 1.0)
    with _closing(1001) as url:
        result = _stream(recording, url)
    assert result.exit_code == 1 and "No server has helped for 1 s (it closed with 1001)" in result.output


def test_it_goes_on_after_a_broken_connection(recording: Path) -> None:
    final = {"type": "final", "text": " Hello.", "id": 0, "start": 0.0, "end": 0.4}
    connections: list[ServerConnection] = []

    def handle(socket: ServerConnection) -> None:
        connections.append(socket)
        socket.send(json.dumps({"type": "ready", "warnings": []}))
        for frame in socket:
            if len(connections) == 1:
                socket.socket.close()
                return
            if isinstance(frame, str):
                socket.send(json.dumps(final))
                socket.send(json.dumps(DONE))
                return

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        result = _stream(recording, f"ws://127.0.0.1:{server.socket.getsockname()[1]}/transcribe")
        server.shutdown()
        thread.join()
    assert result.exit_code == 0 and result.stdout == "Hello.\n"
    lost, back = result.stderr.splitlines()
    assert lost.startswith("The connection is lost") and back == "The connection is back; nothing is lost."


def test_an_address_of_a_page_is_no_missing_server(recording: Path) -> None:
    result = _stream(recording, "http://127.0.0.1:5003/transcribe")
    assert result.exit_code == 1 and "it begins with ws:// or" in result.output


def test_a_wrong_path_is_no_missing_server(recording: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        result = _stream(recording, f"ws://127.0.0.1:{server.server_port}/nowhere")
        server.shutdown()
        thread.join()
    assert result.exit_code == 1 and "answers with status 404" in result.output
    assert "is the path right?" in result.output


def test_a_certificate_that_nobody_knows_is_no_missing_server(recording: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    with serve(lambda socket: None, "127.0.0.1", 0, ssl=context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        result = _stream(recording, f"wss://127.0.0.1:{server.socket.getsockname()[1]}/transcribe")
        server.shutdown()
        thread.join()
    assert (
        result.exit_code == 1
        and "certificate of wss://" in result.output
        and "SSL_CERT_FILE" in result.output
    )


def test_what_goes_into_a_pipe_is_the_transcript_alone(recording: Path) -> None:
    long = " ".join(["a sentence that is longer than a terminal is wide"] * 3)
    answers = [
        {"type": "lag", "behind_s": 3.0},
        {"type": "speech_started", "at": 0.0},
        {"type": "final", "text": f" {long}", "id": 0, "start": 0.0, "end": 0.2},
        {"type": "lag", "behind_s": 0},
        {"type": "speech_started", "at": 9.0},
        {"type": "final", "text": " Yes.", "id": 1, "start": 0.3, "end": 0.4},
        DONE,
    ]
    with _server(answers) as (url, _):
        result = _stream(recording, url)
    assert result.stdout == f"{long}\nYes.\n"
    assert result.stderr == "A fake.\n3.0 s behind\n"

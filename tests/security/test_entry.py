"""Who gets in: real servers and real handshakes. The servers have no model, because nobody needs one here."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from benchmarks.slices import wav_slices
from tests.servers import Server, free_port, gunicorn, running
from whisper_service.audio.pcm import Recording
from whisper_service.cli import main
from whisper_service.client import LiveClient, StreamFailed, play
from whisper_service.web.keys import hash_of, make

KEY = make()
EVIL = "https://evil.example"
NO_MODEL = {"WHISPER_MODEL": "/nowhere.pt"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that only the holder of ``KEY`` may use."""
    port = free_port()
    settings = {"PORT": str(port), "WHISPER_KEYS": f"alice:{hash_of(KEY)}", **NO_MODEL}
    log_path = tmp_path_factory.mktemp("locked") / "log"
    with running(["app.py"], port=port, log_path=log_path, **settings) as server:
        yield server
        assert KEY not in server.log()


@pytest.fixture(scope="module")
def unlocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has no keys."""
    port = free_port()
    log_path = tmp_path_factory.mktemp("unlocked") / "log"
    with running(["app.py"], port=port, log_path=log_path, PORT=str(port), **NO_MODEL) as server:
        yield server


def _enter(server: Server, query: str = "", first: str = "", **options: Any) -> str:
    """Open a stream; return "in" if the server lets it in, else why not: a status, or a close code.

    :param first: the first message.
    """
    try:
        with connect(server.ws(f"/transcribe{query}"), proxy=None, **options) as socket:
            if first:
                socket.send(first)
            return _outcome(socket)
    except InvalidStatus as refused:
        body = json.loads(refused.response.body)
        return f"{refused.response.status_code} {body['error']['code']}"


def _outcome(socket: ClientConnection) -> str:
    error = json.loads(socket.recv(timeout=60))
    with suppress(ConnectionClosed):
        socket.recv(timeout=60)
    # A stream that was let in gets to know that there is no model.
    return "in" if error["code"] == "model_unavailable" else f"{socket.close_code} {error['code']}"


def _ask(server: Server, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of the answer to a GET, or to a POST of ``body``."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", data, headers)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return 200, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_pages_of_other_origins_are_refused_before_the_handshake(unlocked: Server) -> None:
    assert _enter(unlocked) == "in"
    assert _enter(unlocked, origin=f"http://127.0.0.1:{unlocked.port}") == "in"
    assert _enter(unlocked, origin="http://localhost:8000") == "in"
    refused = {_enter(unlocked, origin=origin) for origin in (EVIL, "null", "http://127.0.0.1.evil.example")}
    assert refused == {"403 forbidden"}
    assert (
        "'https://evil.example' is refused" in unlocked.log() and "WHISPER_ORIGINS is same" in unlocked.log()
    )
    assert _ask(unlocked, "/entry", Origin=EVIL)[0] == 403


def test_a_service_without_keys_takes_clients_that_send_one_all_the_same(unlocked: Server) -> None:
    assert _enter(unlocked, query=f"?token={KEY}") == "in"
    assert _enter(unlocked, additional_headers={"Authorization": f"Bearer {KEY}"}) == "in"


def test_a_page_whose_name_has_come_to_mean_this_machine_is_refused(unlocked: Server) -> None:
    name = f"evil.example:{unlocked.port}"
    status, _ = _ask(unlocked, "/entry", Origin=f"http://{name}", Host=name)
    assert status == 403


def test_a_key_opens_in_each_place(locked: Server) -> None:
    assert _enter(locked, additional_headers={"Authorization": f"Bearer {KEY}"}) == "in"
    assert _enter(locked, additional_headers={"Authorization": f"Token {KEY}"}) == "in"
    assert _enter(locked, query=f"?token={KEY}&words=1") == "in"
    assert _enter(locked, first=json.dumps({"type": "auth", "token": KEY})) == "in"
    with connect(
        locked.ws("/transcribe"),
        subprotocols=["transcribe", f"token.{KEY}"],
        proxy=None,  # type: ignore[list-item]
    ) as socket:
        assert socket.subprotocol == "transcribe"
        assert _outcome(socket) == "in"
    for path in ("/transcription", "/ws/transcribe"):
        with pytest.raises(InvalidStatus), connect(f"{locked.ws(path)}?token=x", proxy=None):
            pass


def test_without_a_key_or_with_a_wrong_one_nobody_enters(locked: Server) -> None:
    wrong = make()
    assert _enter(locked, additional_headers={"Authorization": f"Bearer {wrong}"}) == "401 unauthorized"
    assert _enter(locked, query=f"?token={wrong}") == "401 unauthorized"
    assert _enter(locked, query="?token=") == "401 unauthorized"
    assert _enter(locked, subprotocols=["transcribe", f"token.{wrong}"]) == "401 unauthorized"
    for first in (
        json.dumps({"type": "auth", "token": wrong}),
        json.dumps({"type": "auth", "token": 7}),
        json.dumps({"type": "start"}),
        "[" * 5_000,
        "x" * 100_000,
    ):
        assert _enter(locked, first=first) == "4401 unauthorized"
    # A page elsewhere may not even try keys.
    assert _enter(locked, query=f"?token={KEY}", origin=EVIL) == "403 forbidden"
    assert wrong not in locked.log()


def test_who_says_nothing_is_let_go(locked: Server) -> None:
    began = time.monotonic()
    assert _enter(locked) == "4401 unauthorized"
    assert 9 < time.monotonic() - began < 30


def test_a_client_secret_stands_for_its_key(locked: Server) -> None:
    path = "/v1/realtime/client_secrets"
    assert _ask(locked, path, {})[0] == 401
    assert _ask(locked, path, {}, Authorization=f"Bearer {KEY}", Origin=EVIL)[0] == 403
    status, made = _ask(
        locked,
        path,
        {"expires_after": {"anchor": "created_at", "seconds": 30}},
        Authorization=f"Bearer {KEY}",
    )
    assert status == 200 and abs(made["expires_at"] - time.time() - 30) < 10
    assert _enter(locked, query=f"?token={made['value']}") == "in"
    status, problem = _ask(locked, path, {"expires_after": {"seconds": 5}}, Authorization=f"Bearer {KEY}")
    assert status == 400 and problem["error"]["code"] == "bad_message"
    assert made["value"] not in locked.log()


def test_a_script_learns_why(locked: Server) -> None:
    status, answer = _ask(locked, "/entry?token=wrong")
    assert status == 401 and "not known" in answer["error"]["message"]
    assert _ask(locked, f"/entry?token={KEY}") == (200, {"status": "welcome"})


def test_the_clients_of_the_package_take_a_key(
    locked: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "_GIVE_UP_S", 0.0)
    url, recording = locked.ws("/transcribe"), tmp_path / "silence.wav"
    recording.write_bytes(next(wav_slices(Recording(np.zeros(8_000, np.float32), 16_000), slice_ms=500)))
    for key, why, also in (
        (KEY, "has no model", "No server has helped"),  # it was let in, and would try again
        (make(), "not known here", "not known here"),
        ("", "needs a key", "needs a key"),
    ):
        with LiveClient(url, key=key, give_up_s=0.0) as client, pytest.raises(StreamFailed, match=also):
            list(client)
        arguments = ["stream", str(recording), "--url", url]
        result = CliRunner(env={"TRANSCRIPTION_KEY": key}).invoke(main, arguments)
        assert result.exit_code == 1 and why in result.output


def test_gunicorns_access_log_does_not_show_a_key(tmp_path: Path) -> None:
    port = free_port()
    settings = {"WHISPER_KEYS": f"alice:{hash_of(KEY)}", **NO_MODEL}
    command = gunicorn("app:app", port=port, worker="gevent")
    with running(command, port=port, log_path=tmp_path / "log", **settings) as server:
        assert _enter(server, query=f"?words=1&token={KEY}") == "in"
        assert _enter(server, query=f"?token={KEY}&words=1") == "in"
        assert _ask(server, f"/entry?token={KEY}")[0] == 200
    assert "token=hidden" in server.log() and KEY not in server.log()


def test_an_open_service_on_a_public_address_warns(tmp_path: Path) -> None:
    def log(**settings: str) -> str:
        port = free_port()
        with running(
            ["app.py"], port=port, log_path=tmp_path / "log", PORT=str(port), **settings, **NO_MODEL
        ) as server:
            return server.log()

    assert "ANYBODY who reaches 0.0.0.0" in log(HOST="0.0.0.0")
    assert "ANYBODY" not in log(HOST="0.0.0.0", WHISPER_KEYS=f"alice:{hash_of(KEY)}")
    assert "ANYBODY" not in log()

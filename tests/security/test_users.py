"""A Flask product lets its own users in, and keeps what they say."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.live_streams import stream
from tests.servers import MODEL, Server, free_port, running, wait_until, wait_until_ready
from tests.talks import sentences
from whisper_service.client import LiveClient

pytestmark = pytest.mark.heavy


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    settings = {"DATABASE": str(tmp_path / "database"), "QUOTA_S": "3", "WHISPER_MODEL": MODEL}
    command = ["-m", "tests.security.host_app"]
    with running(command, port=port, log_path=tmp_path / "log", PORT=str(port), **settings) as server:
        wait_until_ready(server, "/speech")
        yield server


def _login(server: Server, name: str) -> str:
    """Return the cookie of a user."""
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/login/{name}", b"")
    with urllib.request.urlopen(request, timeout=10) as answer:
        cookie: str = answer.headers["Set-Cookie"].partition(";")[0]
        return cookie


def _refusal(server: Server, **headers: str) -> tuple[int, str]:
    """Return with which status, and why, a client with these headers is refused."""
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(server.ws("/speech/transcribe"), additional_headers=headers, proxy=None),
    ):
        pass
    return refused.value.response.status_code, json.loads(refused.value.response.body)["error"]["message"]


def _said(server: Server) -> list[tuple[str, int, str]]:
    """Return what is in the product's database: users, numbers of finals, texts."""
    return [(user, number, text) for user, number, text in json.loads(server.get("/said"))]


def test_users_of_the_app_are_let_in_and_their_words_are_kept(server: Server) -> None:
    assert _refusal(server)[0] == 401
    cookie = _login(server, "alice")
    status, _ = _refusal(server, Cookie=cookie, Origin="https://evil.example")
    assert status == 403, "a page elsewhere uses the cookie of its visitor"

    client = LiveClient(server.ws("/speech/transcribe"), headers={"Cookie": cookie})
    pcm = (sentences().samples * 32_767).astype("<i2")
    messages = stream(client, pcm, speed=4.0)
    finals = [("alice", one["id"], one["text"]) for one in messages if one["type"] == "final"]
    assert len(finals) > 1
    assert wait_until(lambda: _said(server) == finals, timeout_s=10), server.log()

    # Her 3 s are used up, and others have theirs.
    assert wait_until(lambda: _refusal(server, Cookie=cookie) == (403, "Your minutes are used up."))
    with connect(
        server.ws("/speech/transcribe"), additional_headers={"Cookie": _login(server, "bob")}, proxy=None
    ) as socket:
        assert json.loads(socket.recv())["type"] == "ready"

    log = server.log()
    assert log.count("a receiver of final failed") == len(finals) and "a receiver that fails" in log
    assert not any(text.strip() in log for _, _, text in finals if len(text) > 8)

"""What one user may take: streams at once and audio for each minute, also over several workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import gevent
import pytest
import redis
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.servers import MODEL, Server, free_port, running, wait_until, wait_until_ready
from whisper_service.config import Config, Limits
from whisper_service.errors import RateLimited
from whisper_service.web import places
from whisper_service.web.admission import Identity
from whisper_service.web.keys import hash_of, make
from whisper_service.web.places import SharedPlaces
from whisper_service.web.quotas import Quotas, user_of

ALICE = make()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[str]:
    """Debian's Redis; its address."""
    port = free_port()
    command = [
        "redis-server",
        "--port",
        str(port),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            with redis.Redis(port=port) as client:
                assert wait_until(lambda: _answers(client), timeout_s=10)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _limits(**settings: str) -> Limits:
    return Config.from_mapping({f"WHISPER_{name.upper()}": value for name, value in settings.items()}).limits


def test_a_user_is_a_name_or_else_a_household() -> None:
    assert user_of(Identity("alice", "203.0.113.7")) == "name:alice"
    assert user_of(Identity("", "203.0.113.7")) == "address:203.0.113.7"
    assert user_of(Identity("", "::ffff:203.0.113.7")) == "address:203.0.113.7"
    one, other = (user_of(Identity("", f"2001:db8:1:2:{host}::1")) for host in ("3", "4"))
    assert one == other == "address:2001:db8:1:2::/64"
    assert user_of(Identity("", "2001:db8:1:3::1")) != one
    assert user_of(Identity("", "unknown")) == "address:unknown"


def test_streams_of_one_user_are_counted_in_the_process() -> None:
    quotas = Quotas(_limits(user_streams="2"))
    alice, bob = Identity("alice", ""), Identity("bob", "")
    with quotas.one_more(alice), quotas.one_more(bob):
        with quotas.one_more(alice), pytest.raises(RateLimited, match="2 streams"), quotas.one_more(alice):
            pass
        with quotas.one_more(alice):
            pass


@pytest.mark.parametrize("is_shared", [False, True])
def test_audio_of_all_streams_of_a_user_is_counted_together(is_shared: bool, shared: str) -> None:
    quotas = Quotas(_limits(user_audio_s="60", **({"redis_url": shared} if is_shared else {})))
    problems: list[object] = []
    meters = [quotas.meter(Identity(name, ""), problems.append) for name in ("alice", "alice", "bob")]
    for _ in range(28):  # 28 s of each
        for meter in meters:
            meter.heard("s", 1.0)
    gevent.sleep(0.3)
    assert problems == []
    for _ in range(16):
        meters[0].heard("s", 1.0)
    gevent.sleep(0.3)
    assert [type(problem) for problem in problems] == [RateLimited]
    if is_shared:
        quotas._limiter.storage.storage.connection_pool.disconnect()  # type: ignore[attr-defined]


def test_without_an_answer_of_redis_everybody_is_let_in_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quotas = Quotas(
        _limits(user_streams="1", user_audio_s="60", redis_url=f"redis://127.0.0.1:{free_port()}/0")
    )
    with quotas.one_more(Identity("alice", "")), quotas.one_more(Identity("alice", "")):
        pass
    quotas.meter(Identity("alice", ""), lambda problem: pytest.fail(str(problem))).heard("s", 100.0)
    gevent.sleep(0.3)
    assert "limits do not count, because Redis does not answer" in caplog.text
    assert "audio is not counted" in caplog.text


def _enter(server: Server, stack: ExitStack) -> ClientConnection | int:
    """Open a stream of Alice; return it, or the status of a refusal."""
    headers = {"Authorization": f"Bearer {ALICE}"}
    try:
        return stack.enter_context(connect(server.ws("/transcribe"), additional_headers=headers, proxy=None))
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.heavy
def test_four_workers_share_a_redis(shared: str, tmp_path: Path) -> None:
    """Never more streams than allowed, and none is lost for ever when a worker is killed."""
    port, most = free_port(), 5
    settings = {
        "WHISPER_MODEL": MODEL,
        "WHISPER_KEYS": f"alice:{hash_of(ALICE)}",
        "WHISPER_USER_STREAMS": str(most),
        "WHISPER_REDIS_URL": shared,
    }
    app = "tests.security.limited_app:app"
    command = ["-m", "gunicorn", "-c", "gunicorn.conf.py", "-w", "4", "-b", f"127.0.0.1:{port}", app]
    with (
        running(command, port=port, log_path=tmp_path / "log", **settings) as server,
        ExitStack() as stack,
    ):
        assert wait_until(lambda: server.log().count("ready: micro.en") == 4, timeout_s=180), server.log()
        with ThreadPoolExecutor(16) as threads:
            outcomes = list(threads.map(lambda _: _enter(server, stack), range(16)))
        open_streams = [one for one in outcomes if not isinstance(one, int)]
        assert [one for one in outcomes if isinstance(one, int)] == [429] * (16 - most)
        for one in open_streams:
            assert json.loads(one.recv())["type"] == "ready"
        time.sleep(4.5)  # longer than a lease: they are renewed
        assert _enter(server, stack) == 429
        open_streams[0].close()
        again: list[ClientConnection | int] = []
        assert wait_until(lambda: bool(again.append(_enter(server, stack))) or again[-1] != 429, timeout_s=5)

        master = server.process.pid
        for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        assert wait_until(lambda: server.log().count("ready: micro.en") == 8, timeout_s=180)
        entered: list[ClientConnection | int] = []

        def is_full() -> bool:
            entered.append(_enter(server, stack))
            return sum(one != 429 for one in entered) == most

        assert wait_until(is_full, timeout_s=20), "places are lost"
        assert _enter(server, stack) == 429


@pytest.mark.heavy
def test_a_client_that_sends_too_much_is_told_and_closed(tmp_path: Path) -> None:
    port = free_port()
    settings = {"PORT": str(port), "WHISPER_MODEL": MODEL, "WHISPER_USER_AUDIO_S": "60"}
    with running(["app.py"], port=port, log_path=tmp_path / "log", **settings) as server:
        wait_until_ready(server)
        with connect(f"{server.ws('/transcribe')}?format=s16le", proxy=None) as socket:
            with suppress(ConnectionClosed):
                for _ in range(140):
                    socket.send(bytes(16_000))  # half a second of silence
                    time.sleep(0.005)
            messages = []
            with suppress(ConnectionClosed):
                while True:
                    messages.append(json.loads(socket.recv(timeout=30)))
        assert socket.close_code == 4429
        assert messages[-1]["code"] == "rate_limited" and "60 s of audio a minute" in messages[-1]["message"]


def test_a_place_of_a_dead_process_is_free_again_while_others_keep_theirs(
    shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "LEASE_S", 1.0)
    monkeypatch.setattr(places, "_RENEWED_EVERY_S", 0.2)
    alive, dead = SharedPlaces(shared), SharedPlaces(shared)
    with ExitStack() as stack:
        assert stack.enter_context(alive.one_more("alice", 2))
        assert stack.enter_context(dead.one_more("alice", 2))
        with alive.one_more("alice", 2) as third:
            assert not third
        dead._held.clear()  # nobody renews its place any more
        gevent.sleep(1.6)
        with alive.one_more("alice", 2) as second, alive.one_more("alice", 2) as third:
            assert second and not third
    for one in (alive, dead):
        one._redis.connection_pool.disconnect()

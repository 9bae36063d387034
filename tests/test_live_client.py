"""The client that loses no word, against real servers with a fake engine that are killed and restarted."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import speak
from tests.live_streams import Message, stream
from tests.servers import Server, free_port, running, wait_until_ready
from whisper_service.client import AsyncLiveClient, LiveClient, StreamFailed
from whisper_service.client.tape import Tape

TALK = [0.1, 0.1, 0.3, 0.1, 0.9, 0.05, 0.2, 0.2, 1.4, 0.1, 0.1, 0.4, 0.1, 1.2] * 2
#: How much faster than real time the talk is sent.
SPEED = 16.0


def _pcm() -> tuple[NDArray[np.int16], str]:
    samples, spoken = speak(TALK)
    return (samples * 32_768).astype("<i2"), "".join(spoken)


class _Servers:
    """Servers that can be killed and started again, each on its own port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = ExitStack()
        self._started = 0
        self.ports = [free_port(), free_port()]

    @property
    def urls(self) -> list[str]:
        return [f"ws://127.0.0.1:{port}/transcribe" for port in self.ports]

    def start(self, index: int, **environment: str) -> Server:
        self._started += 1
        settings = {"PORT": str(self.ports[index]), "WHISPER_SIGNING_KEY": "the same", **environment}
        log = self._folder / f"log{self._started}"
        server = self._open.enter_context(
            running(["-m", "tests.fake_service"], port=self.ports[index], log_path=log, **settings)
        )
        wait_until_ready(server)
        return server

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[_Servers]:
    started = _Servers(tmp_path)
    yield started
    started.close()


def _stream(
    client: LiveClient, pcm: NDArray[np.int16], *, at: dict[int, Callable[[], object]] | None = None
) -> list[Message]:
    return stream(client, pcm, speed=SPEED, at=at)


def _of(messages: list[Message], kind: str) -> list[Message]:
    return [message for message in messages if message["type"] == kind]


def _check(messages: list[Message], whole: list[Message]) -> None:
    """Check that the finals are those of an undisturbed stream, each once, and that no sample is missing."""
    assert _of(messages, "final") == _of(whole, "final")
    assert [final["id"] for final in _of(messages, "final")] == list(range(len(_of(whole, "final"))))
    assert messages[-1] == whole[-1]  # the account, and the whole text


def test_an_undisturbed_stream(servers: _Servers) -> None:
    servers.start(0)
    pcm, spoken = _pcm()
    messages = _stream(LiveClient(servers.urls[0]), pcm)
    assert "".join(final["text"] for final in _of(messages, "final")) == spoken
    assert [message["type"] for message in (messages[0], messages[-1])] == ["ready", "done"]
    assert not _of(messages, "connection") and not any("resume" in message for message in messages)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_is_killed_and_the_stream_goes_on_at_another(servers: _Servers, number: int) -> None:
    first = servers.start(0)
    servers.start(1)
    pcm, _ = _pcm()
    whole = _stream(LiveClient(servers.urls[1]), pcm)
    at = {pcm.shape[0] // 2: lambda: first.process.send_signal(number)}
    messages = _stream(LiveClient(servers.urls), pcm, at=at)
    assert [message["state"] for message in _of(messages, "connection")] == ["lost", "resumed"]
    _check(messages, whole)


def test_a_server_is_killed_twice_and_comes_back(servers: _Servers) -> None:
    server = servers.start(0)
    pcm, _ = _pcm()
    whole = _stream(LiveClient(servers.urls[0]), pcm)

    def kill() -> None:
        nonlocal server
        server.process.kill()
        server.process.wait()
        server = servers.start(0)

    at = {20_000: kill, 3 * pcm.shape[0] // 4: kill}
    messages = _stream(LiveClient(servers.urls[0]), pcm, at=at)
    _check(messages, whole)


def test_commands_come_again_at_their_places(servers: _Servers) -> None:
    first = servers.start(0)
    servers.start(1)
    pcm, _ = _pcm()

    def stream(client: LiveClient, kill: bool) -> list[Message]:
        at: dict[int, Callable[[], object]] = {
            28_000: lambda: client.flush(),
            60_000: lambda: client.mark("a place"),
            100_000: lambda: first.process.kill() if kill else None,
            100_001: lambda: client.mark(7),
        }
        return _stream(client, pcm, at=at)

    whole = stream(LiveClient(servers.urls[1]), kill=False)
    messages = stream(LiveClient(servers.urls), kill=True)
    _check(messages, whole)
    assert [mark["id"] for mark in _of(messages, "mark")] == ["a place", 7]


def test_a_stream_that_is_too_long_for_the_server_goes_on_in_another(servers: _Servers) -> None:
    servers.start(0, WHISPER_MAX_AUDIO_S="9")
    servers.start(1)
    pcm, _ = _pcm()
    whole = _stream(LiveClient(servers.urls[1]), pcm)
    messages = _stream(LiveClient(servers.urls[0]), pcm)
    assert len(_of(messages, "connection")) >= 2
    _check(messages, whole)


def test_with_another_key_the_stream_begins_anew_after_the_last_final(servers: _Servers) -> None:
    first = servers.start(0)
    servers.start(1, WHISPER_SIGNING_KEY="another")
    pcm, spoken = _pcm()
    at = {pcm.shape[0] // 2: lambda: first.process.kill()}
    messages = _stream(LiveClient(servers.urls), pcm, at=at)
    finals = _of(messages, "final")
    assert "".join(final["text"] for final in finals) == spoken
    assert [final["id"] for final in finals] == list(range(len(finals)))
    assert all(one["end"] <= other["start"] for one, other in zip(finals, finals[1:], strict=False))


def test_the_client_for_asyncio(servers: _Servers) -> None:
    servers.start(0)
    pcm, spoken = _pcm()

    async def stream() -> str:
        async with AsyncLiveClient(servers.urls[0], keywords=["w3"], interim=False) as client:
            await client.send(pcm.tobytes())
            await client.stop()
            with pytest.raises(ValueError, match="stopped"):
                await client.send(b"")
            texts = []
            async for message in client:
                assert message["type"] != "partial"
                if message["type"] == "final":
                    texts.append(message["text"])
            return "".join(texts)

    # In a thread of its own: Playwright has a loop in this one, if the tests of the page have run.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, stream()).result() == spoken


@pytest.mark.parametrize(
    ("url", "options", "reason"),
    [
        ("ws://127.0.0.1:{free}/transcribe", {}, "No server answers at"),
        ("http://127.0.0.1:{port}/transcribe", {}, "begins with ws://"),
        ("ws://127.0.0.1:{port}/nowhere", {}, "status 404"),
        ("ws://127.0.0.1:{port}/transcribe", {"language": "xx"}, "does not know language"),
    ],
)
def test_a_stream_that_cannot_be(servers: _Servers, url: str, options: dict[str, str], reason: str) -> None:
    servers.start(0)
    url = url.format(free=servers.ports[1], port=servers.ports[0])
    pcm, _ = _pcm()
    with pytest.raises(StreamFailed, match=reason):
        _stream(LiveClient(url, **options), pcm)


def test_it_gives_up_after_a_time(servers: _Servers) -> None:
    server = servers.start(0)
    pcm, _ = _pcm()
    with pytest.raises(StreamFailed, match="No server has helped for 1 s"):
        _stream(LiveClient(servers.urls[0], give_up_s=1.0), pcm, at={50_000: server.process.kill})


def test_closing_it_wakes_those_that_wait(servers: _Servers) -> None:
    servers.start(0, DELAY_S="5")
    pcm, _ = _pcm()
    failed = threading.Event()
    with LiveClient(servers.urls[0], buffer_s=1.0) as client:

        def send() -> None:
            try:
                for _ in range(50):
                    client.send(pcm[:16_000].tobytes())
            except StreamFailed:
                failed.set()

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(1.0)
        assert sender.is_alive() and not failed.is_set()
    sender.join(5)
    assert failed.is_set()


def test_it_needs_neither_torch_nor_numpy_nor_gevent() -> None:
    absent = ["torch", "numpy", "av", "gevent", "flask", "whisper", "click", "rich"]
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import whisper_service.client"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_tape_ends_a_piece_at_a_command() -> None:
    tape = Tape()
    tape.record(np.arange(10, dtype="<i2").tobytes())
    tape.note("a")
    tape.note("b")
    tape.record(np.arange(10, 14, dtype="<i2").tobytes())
    assert np.frombuffer(tape.read(4, 100), "<i2").tolist() == [4, 5, 6, 7, 8, 9]
    assert [command.text for command in tape.commands_at(10)] == ["a", "b"]
    assert np.frombuffer(tape.read(10, 3), "<i2").tolist() == [10, 11, 12]
    tape.strike("a")
    tape.forget(8)
    assert (tape.start, tape.end, [command.text for command in tape.commands_at(10)]) == (8, 14, ["b"])
    assert np.frombuffer(tape.read(8, 1), "<i2").tolist() == [8]
    tape.forget(12)
    assert not tape.commands_at(10) and tape.read(14, 5) == b""
    with pytest.raises(ValueError, match="whole number"):
        tape.record(b"x")

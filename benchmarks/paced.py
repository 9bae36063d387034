"""Clients that play a talk in real time, each with its own phase, and a server process for them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.protocol import State

from benchmarks.player import RATE, Talk, load_talk
from benchmarks.scoring import Spoken
from benchmarks.slices import wav_slices
from whisper_service.audio.pcm import Recording

ROOT = Path(__file__).resolve().parents[1]
SLICE_MS = 500

Samples = NDArray[np.float32]


@dataclass(slots=True)
class Heard:
    """The messages that one client received.

    :param place: where in the talk its stream began, in seconds.
    :param messages: each message with its time of arrival, in seconds from the start of the stream.
    """

    place: float
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def of(self, kind: str) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield the messages of one type."""
        return ((at, message) for at, message in self.messages if message["type"] == kind)


def sample_talk() -> Talk:
    """Return the bundled talk, cut to a whole number of slices."""
    return whole_slices(load_talk(ROOT / "static/samples/talk-00.flac", ROOT / "tests/data/talk-00.json"))


def joined(talks: Sequence[Talk]) -> Talk:
    """Return one talk that holds all of ``talks``, with a second of silence after each."""
    pcm: list[Samples] = []
    words: list[Spoken] = []
    ends: list[float] = []
    for talk in talks:
        offset = sum(part.shape[0] for part in pcm) / RATE
        words += [replace(word, start=word.start + offset, end=word.end + offset) for word in talk.words]
        ends += [end + offset for end in talk.ends]
        pcm += [talk.pcm, np.zeros(RATE, dtype=np.float32)]
    text = " ".join(talk.text for talk in talks)
    return whole_slices(Talk("joined", np.concatenate(pcm), text, words, ends))


def whole_slices(talk: Talk) -> Talk:
    """Return ``talk``, cut to a whole number of slices."""
    slice_samples = SLICE_MS * RATE // 1000
    return replace(talk, pcm=talk.pcm[: talk.pcm.shape[0] // slice_samples * slice_samples])


def said(talk: Talk, *, place: float, seconds: float) -> list[Spoken]:
    """Return each word that a client plays in full, if it plays the talk in a loop from ``place`` on.

    :param place: where in the talk the client begins, in seconds.
    :param seconds: how long it plays.
    """
    length = talk.pcm.shape[0] / RATE
    words = [
        Spoken(word.text, word.start + offset, word.end + offset)
        for offset in np.arange(-place, seconds, length).tolist()
        for word in talk.words
        if word.end <= length
    ]
    return [word for word in words if word.start >= 0 and word.end <= seconds]


def ended(talk: Talk, *, place: float, seconds: float) -> list[float]:
    """Return when each utterance ends that such a client plays; see ``said``. The last one may be cut off."""
    length = talk.pcm.shape[0] / RATE
    ends = [end + offset for offset in np.arange(-place, seconds, length).tolist() for end in talk.ends]
    return [end for end in ends if 0 < end < seconds - 1]


def listen(url: str, talk: Talk, *, count: int, seconds: float) -> list[Heard]:
    """Play ``talk`` in a loop with ``count`` clients at once, then stop; return what each client received.

    Blocks until every client has its whole transcript.
    """
    slices = list(wav_slices(Recording(talk.pcm, RATE), slice_ms=SLICE_MS))
    phases = np.random.default_rng(0).uniform(0, SLICE_MS / 1000, count)

    async def all_of_them() -> list[Heard]:
        # Each client begins at another place, because real speakers do not speak in step.
        places = [number * len(slices) // count for number in range(count)]
        clients = [
            _client(url, slices, place, float(phase), seconds)
            for place, phase in zip(places, phases, strict=True)
        ]
        return await asyncio.gather(*clients)

    return asyncio.run(all_of_them())


async def _client(url: str, slices: Sequence[bytes], place: int, phase_s: float, seconds: float) -> Heard:
    await asyncio.sleep(phase_s)
    heard = Heard(place * SLICE_MS / 1000)
    async with connect(url, max_queue=None) as socket:
        begin = time.monotonic()

        async def read() -> None:
            async for frame in socket:
                heard.messages.append((time.monotonic() - begin, json.loads(frame)))

        reader = asyncio.create_task(read())
        for index in range(round(seconds * 1000 / SLICE_MS)):
            # As with a microphone, a slice is sent when its last sample has been spoken.
            await asyncio.sleep(max(0.0, begin + (index + 1) * SLICE_MS / 1000 - time.monotonic()))
            await socket.send(slices[(place + index) % len(slices)])
        await socket.send(json.dumps({"type": "stop"}))
        await reader
    return heard


@contextmanager
def idle_sockets(url: str, count: int) -> Iterator[None]:
    """Keep ``count`` sockets open, which send nothing but pongs, while the body runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def open_all() -> list[ClientConnection]:
        return [await connect(url, compression=None, ping_interval=None) for _ in range(count)]

    async def close_all(sockets: list[ClientConnection]) -> None:
        assert all(socket.state is State.OPEN for socket in sockets), "the server has closed an idle socket"
        await asyncio.gather(*(socket.close() for socket in sockets))

    try:
        sockets = asyncio.run_coroutine_threadsafe(open_all(), loop).result()
        yield
        asyncio.run_coroutine_threadsafe(close_all(sockets), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Served(NamedTuple):
    """A server that is running.

    :param address: host and port.
    :param pid: number of its process.
    """

    address: str
    pid: int

    def memory_mb(self) -> int:
        """Return how much of the server is in memory, in MB. Linux only."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmRSS:"))
        return round(int(line.split()[1]) / 1000)

    def processor_s(self) -> float:
        """Return how much time of the processor the server has taken, in seconds. Linux only."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(*arguments: str, port: int) -> Iterator[Served]:
    """Run ``python ARGUMENTS`` as the server while the body runs.

    Waits for its first line of output, which says that it listens.
    """
    environment = {
        "WHISPER_MODEL": str(ROOT / "models" / "micro.en.pt"),
        "WHISPER_MAX_STREAMS": "100000",  # overload is measured too
        **os.environ,
        "PORT": str(port),
    }
    server = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        print(server.stdout.readline().decode().strip())
        yield Served(f"127.0.0.1:{port}", server.pid)
    finally:
        server.terminate()
        server.wait(60)


def pin_apart(server_cores: int) -> str:
    """Leave ``server_cores`` cores to the server, if there are more; return a description.

    The clients run in this process, which is pinned to the other cores.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) <= server_cores:
        return f"clients share the server's {len(cores)} cores"
    os.sched_setaffinity(0, cores[server_cores:])
    return f"clients on {len(cores) - server_cores} cores of their own"

"""Clients that play a talk in real time, each at a phase of its own, and a server process for them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

from whisper_service.audio.decode import decode
from whisper_service.client import wav_slices

ROOT = Path(__file__).resolve().parents[1]
SLICE_MS = 500


@dataclass(slots=True)
class Heard:
    """What one client was told.

    :param messages: each with the seconds since its stream began.
    """

    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def of(self, kind: str) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield the messages of one type."""
        return ((at, message) for at, message in self.messages if message["type"] == kind)


def sample_slices() -> list[bytes]:
    """Return the bundled talk as WAV slices."""
    return list(wav_slices(decode((ROOT / "static/samples/talk-00.flac").read_bytes()), slice_ms=SLICE_MS))


def listen(url: str, slices: Sequence[bytes], *, count: int, seconds: float) -> list[Heard]:
    """Play ``slices`` again and again with ``count`` clients at once; return what each was told. Blocks."""
    phases = np.random.default_rng(0).uniform(0, SLICE_MS / 1000, count)

    async def all_of_them() -> list[Heard]:
        # Everyone begins elsewhere in the talk, as people do.
        places = [number * len(slices) // count for number in range(count)]
        clients = [
            _client(url, [*slices[place:], *slices[:place]], float(phase), seconds)
            for place, phase in zip(places, phases, strict=True)
        ]
        return await asyncio.gather(*clients)

    return asyncio.run(all_of_them())


async def _client(url: str, slices: Sequence[bytes], phase_s: float, seconds: float) -> Heard:
    await asyncio.sleep(phase_s)
    heard = Heard()
    async with connect(url, max_queue=None) as socket:
        begin = time.monotonic()

        async def read() -> None:
            async for frame in socket:
                heard.messages.append((time.monotonic() - begin, json.loads(frame)))

        reader = asyncio.create_task(read())
        for index in range(round(seconds * 1000 / SLICE_MS)):
            # A slice is sent when its last sample has been spoken.
            await asyncio.sleep(max(0.0, begin + (index + 1) * SLICE_MS / 1000 - time.monotonic()))
            await socket.send(slices[index % len(slices)])
        reader.cancel()
    return heard


@contextmanager
def serving(*arguments: str, port: int) -> Iterator[str]:
    """Run ``python ARGUMENTS`` while the body runs; yield its address once it says that it listens."""
    environment = {
        "WHISPER_MODEL": str(ROOT / "models" / "micro.en.pt"),
        **os.environ,
        "PORT": str(port),
    }
    server = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        print(server.stdout.readline().decode().strip())
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def pin_apart(server_cores: int) -> str:
    """Keep the clients, which are in this process, off the server's cores if there are enough; say so."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) <= server_cores:
        return f"clients share the server's {len(cores)} cores"
    os.sched_setaffinity(0, cores[server_cores:])
    return f"clients on {len(cores) - server_cores} cores of their own"

"""How long the hub is kept from its work while streams are decoded: ``python -m benchmarks.bench_heartbeat``.

A greenlet in the server ticks every 10 ms. Its lateness is measured first with no stream (the control), then
while clients play talks in real time, in the same process. Aim: p99 at most 20 ms and p99.9 at most 50 ms
above the control with eight streams.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
from websockets.asyncio.client import connect

from benchmarks.machine import describe
from whisper_service.audio.decode import decode
from whisper_service.client import wav_slices

ROOT = Path(__file__).resolve().parents[1]
_SLICE_MS = 500


async def _client(url: str, slices: list[bytes], phase_s: float, seconds: float) -> dict[str, float]:
    """Play the slices in real time, again and again for ``seconds``; return what came back."""
    await asyncio.sleep(phase_s)
    counts = {"finals": 0.0, "worst_lag_s": 0.0}

    async with connect(url) as socket:

        async def read() -> None:
            async for frame in socket:
                message = json.loads(frame)
                counts["finals"] += message["type"] == "final"
                if message["type"] == "lag":
                    counts["worst_lag_s"] = max(counts["worst_lag_s"], message["behind_s"])

        reader = asyncio.create_task(read())
        begin = time.monotonic()
        for index in range(round(seconds * 1000 / _SLICE_MS)):
            await asyncio.sleep(max(0.0, begin + index * _SLICE_MS / 1000 - time.monotonic()))
            await socket.send(slices[index % len(slices)])
        reader.cancel()
    return counts


async def _clients(url: str, slices: list[bytes], count: int, seconds: float) -> list[dict[str, float]]:
    phases = np.random.default_rng(0).uniform(0, _SLICE_MS / 1000, count)
    return await asyncio.gather(*(_client(url, slices, float(phase), seconds) for phase in phases))


def _late_ms(address: str) -> np.ndarray:
    with urllib.request.urlopen(f"http://{address}/late") as answer:
        return np.array(json.load(answer))


def _row(late: np.ndarray) -> dict[str, float]:
    row = {f"p{quantile:g}": round(float(np.percentile(late, quantile)), 2) for quantile in (50, 99, 99.9)}
    return {**row, "max": round(float(late.max()), 2), "ticks": int(late.size)}


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase")
    parser.add_argument("--port", type=int, default=5093)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    address = f"127.0.0.1:{options.port}"
    environment = {
        "WHISPER_MODEL": str(ROOT / "models" / "micro.en.pt"),
        **os.environ,
        "PORT": str(options.port),
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.heartbeat_app"], cwd=ROOT, env=environment, stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        print(server.stdout.readline().decode().strip())
        slices = list(
            wav_slices(decode((ROOT / "static/samples/talk-00.flac").read_bytes()), slice_ms=_SLICE_MS)
        )
        time.sleep(1)
        _late_ms(address)
        time.sleep(options.seconds)
        control = _row(_late_ms(address))
        clients = asyncio.run(
            _clients(f"ws://{address}/transcribe", slices, options.streams, options.seconds)
        )
        loaded = _row(_late_ms(address))
    finally:
        server.terminate()
        server.wait(60)
    result = {
        "machine": describe(),
        "streams": options.streams,
        "seconds": options.seconds,
        "control_ms": control,
        "loaded_ms": loaded,
        "finals": sum(client["finals"] for client in clients),
        "worst_lag_s": max(client["worst_lag_s"] for client in clients),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

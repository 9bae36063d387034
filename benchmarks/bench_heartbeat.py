"""How long the gevent hub is blocked while streams are decoded: ``python -m benchmarks.bench_heartbeat``.

A greenlet in the server ticks every 10 ms and records how late each tick is. This is measured first without
streams (the control), with ``--idle`` also beside idle sockets, and then while clients play a talk in real
time to the same server process. Aim: p99 at most 20 ms and p99.9 at most 50 ms above the control.

With ``--fake-engine`` the model is not asked, so that more streams fit the machine. All else is real:
sockets, decoding, speech detection, sessions.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.machine import describe
from benchmarks.paced import Served, idle_sockets, listen, sample_talk, serving

#: The clients stand for other machines: they get the processor's time that the server leaves.
_CLIENTS_NICE = 10


def _late_ms(address: str) -> np.ndarray:
    with urllib.request.urlopen(f"http://{address}/late") as answer:
        return np.array(json.load(answer))


def _row(late: np.ndarray) -> dict[str, float]:
    row = {f"p{quantile:g}": round(float(np.percentile(late, quantile)), 2) for quantile in (50, 99, 99.9)}
    return {**row, "max": round(float(late.max()), 2), "ticks": int(late.size)}


def _measure(server: Served, seconds: float) -> dict[str, float]:
    """Return how late the ticks are in the next ``seconds``, and how much of a core the server takes."""
    _late_ms(server.address)
    began, spent = time.monotonic(), server.processor_s()
    time.sleep(seconds)
    row = _row(_late_ms(server.address))
    return {**row, "cores": round((server.processor_s() - spent) / (time.monotonic() - began), 3)}


@click.command(help=__doc__)
@click.option("--streams", default=8)
@click.option("--idle", default=0, help="sockets that stay open all the time and send nothing")
@click.option("--fake-engine", is_flag=True)
@click.option("--seconds", default=60.0, help="length of each of the two phases")
@click.option("--port", default=5093)
@click.option("--json", "json_path", type=Path)
def main(
    streams: int, idle: int, fake_engine: bool, seconds: float, port: int, json_path: Path | None
) -> None:
    """Run the benchmark and print its table."""
    talk = sample_talk()
    os.environ["FAKE_ENGINE"] = str(int(fake_engine))
    result: dict[str, Any] = {"machine": describe(), "streams": streams, "idle": idle, "seconds": seconds}
    with serving("-m", "benchmarks.heartbeat_app", port=port) as server:
        os.nice(_CLIENTS_NICE)
        url = f"ws://{server.address}/transcribe"
        time.sleep(1)
        result["control_ms"] = _measure(server, seconds)
        with idle_sockets(url, idle):
            if idle:
                result["idle_ms"] = _measure(server, seconds)
            _late_ms(server.address)
            began, spent = time.monotonic(), server.processor_s()
            clients = listen(url, talk, count=streams, seconds=seconds)
            cores = (server.processor_s() - spent) / (time.monotonic() - began)
            result["loaded_ms"] = {**_row(_late_ms(server.address)), "cores": round(cores, 3)}
    lags = [message["behind_s"] for client in clients for _, message in client.of("lag")]
    result |= {
        "fake engine": fake_engine,
        "cores_per_stream": round(cores / streams, 4),
        "finals": sum(1 for client in clients for _ in client.of("final")),
        "worst_lag_s": max(lags, default=0.0),
    }
    print(json.dumps(result, indent=2))
    if json_path:
        json_path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

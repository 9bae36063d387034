"""How long the gevent hub is blocked while streams are decoded: ``python -m benchmarks.bench_heartbeat``.

A greenlet in the server ticks every 10 ms and records how late each tick is. This is measured first without
streams (the control), then while clients play a talk in real time to the same server process. Aim: p99 at
most 20 ms and p99.9 at most 50 ms above the control.
"""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import click
import numpy as np

from benchmarks.machine import describe
from benchmarks.paced import listen, sample_talk, serving


def _late_ms(address: str) -> np.ndarray:
    with urllib.request.urlopen(f"http://{address}/late") as answer:
        return np.array(json.load(answer))


def _row(late: np.ndarray) -> dict[str, float]:
    row = {f"p{quantile:g}": round(float(np.percentile(late, quantile)), 2) for quantile in (50, 99, 99.9)}
    return {**row, "max": round(float(late.max()), 2), "ticks": int(late.size)}


@click.command(help=__doc__)
@click.option("--streams", default=8)
@click.option("--seconds", default=60.0, help="length of each of the two phases")
@click.option("--port", default=5093)
@click.option("--json", "json_path", type=Path)
def main(streams: int, seconds: float, port: int, json_path: Path | None) -> None:
    """Run the benchmark and print its table."""
    talk = sample_talk()
    with serving("-m", "benchmarks.heartbeat_app", port=port) as server:
        address = server.address
        time.sleep(1)
        _late_ms(address)
        time.sleep(seconds)
        control = _row(_late_ms(address))
        clients = listen(f"ws://{address}/transcribe", talk, count=streams, seconds=seconds)
        loaded = _row(_late_ms(address))
    lags = [message["behind_s"] for client in clients for _, message in client.of("lag")]
    result = {
        "machine": describe(),
        "streams": streams,
        "seconds": seconds,
        "control_ms": control,
        "loaded_ms": loaded,
        "finals": sum(1 for client in clients for _ in client.of("final")),
        "worst_lag_s": max(lags, default=0.0),
    }
    print(json.dumps(result, indent=2))
    if json_path:
        json_path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

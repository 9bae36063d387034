"""How long the gevent hub is blocked while streams are decoded: ``python -m benchmarks.bench_heartbeat``.

A greenlet in the server ticks every 10 ms and records how late each tick is. This is measured first without
streams (the control), then while clients play a talk in real time to the same server process. Aim: p99 at
most 20 ms and p99.9 at most 50 ms above the control.
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.request
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from benchmarks.paced import listen, sample_talk, serving


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
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each of the two phases")
    parser.add_argument("--port", type=int, default=5093)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    talk = sample_talk()
    with serving("-m", "benchmarks.heartbeat_app", port=options.port) as address:
        time.sleep(1)
        _late_ms(address)
        time.sleep(options.seconds)
        control = _row(_late_ms(address))
        clients = listen(f"ws://{address}/transcribe", talk, count=options.streams, seconds=options.seconds)
        loaded = _row(_late_ms(address))
    lags = [message["behind_s"] for client in clients for _, message in client.of("lag")]
    result = {
        "machine": describe(),
        "streams": options.streams,
        "seconds": options.seconds,
        "control_ms": control,
        "loaded_ms": loaded,
        "finals": sum(1 for client in clients for _ in client.of("final")),
        "worst_lag_s": max(lags, default=0.0),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

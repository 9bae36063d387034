"""How many live streams one server takes: ``python -m benchmarks.bench_streams``.

Clients play a talk in real time to the real server, each at a phase and a place of its own, more of them from
step to step. The *lag of a partial* is how long after it was spoken the end of its last word is shown;
*capacity* is the largest number of streams whose 95th percentile stays under the limit. Two steps beyond it
show how lag grows: it must grow evenly, and finals must not starve.

Where there are more cores than ``--server-cores``, clients are pinned away from the server's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from benchmarks.paced import Heard, listen, pin_apart, sample_slices, serving

#: Lag while the server warms up is nobody's.
_SKIPPED_S = 3.0


def lags(client: Heard, kind: str) -> list[float]:
    """Return how long after their last word ended the client's messages of one type came."""
    return [
        at - message["end"] for at, message in client.of(kind) if at > _SKIPPED_S and message["text"].strip()
    ]


def step(clients: list[Heard], seconds: float) -> dict[str, Any]:
    """Return one row of the table."""
    partials = [lags(client, "partial") for client in clients]
    finals = [lags(client, "final") for client in clients]
    medians = [statistics.median(own) for own in partials if own]
    told = [message["behind_s"] for client in clients for _, message in client.of("lag")]
    together = [lag for own in partials for lag in own]
    row: dict[str, Any] = {
        "streams": len(clients),
        "partials_s": _percentiles(together),
        "finals_s": _percentiles([lag for own in finals for lag in own]),
        "best_stream_s": round(min(medians), 2),
        "worst_stream_s": round(max(medians), 2),
        "partials_a_second": round(len(together) / len(clients) / (seconds - _SKIPPED_S), 2),
        "fewest_finals": min(len(own) for own in finals),
        "most_finals": max(len(own) for own in finals),
        "worst_lag_told_s": max(told, default=0.0),
    }
    return row


def _percentiles(values: list[float]) -> list[float]:
    return [round(float(value), 2) for value in np.percentile(values or [np.inf], [50, 95])]


_HEAD = (
    "| streams | partials p50 / p95 | finals p50 / p95 | median of the best and the worst stream "
    "| partials a second | finals of a stream | lag told |\n|---|---|---|---|---|---|---|"
)


def _line(row: dict[str, Any]) -> str:
    partials, finals = (
        " / ".join(f"{value:.2f} s" for value in row[key]) for key in ("partials_s", "finals_s")
    )
    evenness = f"{row['best_stream_s']:.2f} … {row['worst_stream_s']:.2f} s"
    counts = f"{row['fewest_finals']} … {row['most_finals']}"
    cells = [row["streams"], partials, finals, evenness, row["partials_a_second"], counts]
    return "| " + " | ".join(map(str, [*cells, f"{row['worst_lag_told_s']:.1f} s"])) + " |"


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
    parser.add_argument("--limit", type=float, default=1.0, help="of the 95th percentile, in seconds")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each step")
    parser.add_argument("--server-cores", type=int, default=2)
    parser.add_argument("--port", type=int, default=5094)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    slices = sample_slices()
    rows: list[dict[str, Any]] = []
    capacity = beyond = 0
    with serving("app.py", port=options.port) as address:
        pinned = pin_apart(options.server_cores)
        print(f"{describe()['processor']}, {len(os.sched_getaffinity(0))} cores here; {pinned}\n\n{_HEAD}")
        listen(f"ws://{address}/transcribe", slices, count=1, seconds=3)
        for count in options.streams:
            clients = listen(f"ws://{address}/transcribe", slices, count=count, seconds=options.seconds)
            rows.append(step(clients, options.seconds))
            print(_line(rows[-1]), flush=True)
            if rows[-1]["partials_s"][1] <= options.limit:
                capacity = count
            else:
                beyond += 1
            if beyond == 2:
                break
    print(f"\nCapacity: {capacity} streams")
    if options.json:
        report = {"machine": describe(), "pinned": pinned, "capacity": capacity, "rows": rows}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

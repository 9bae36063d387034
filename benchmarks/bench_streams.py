"""How many live streams one server can serve: ``python -m benchmarks.bench_streams``.

Clients play a talk in real time to the real server, each at a phase and a place of its own. With ``--talks
FOLDER`` all talks of the folder are played, one after the other; without it the bundled talk. Every step has
more clients. The *lag* of a word is the time from its end until a partial or final shows it in its place and
it is never missing again. *Capacity* is the largest number of streams for which the 95th percentile of the
lag is within the limit. Two steps beyond it show how the lag grows: it must grow evenly in all streams, and
no stream may be without finals.

The word error rate stands in each row. With one stream it is that of an unloaded server; under load it tells
what the coarser grid costs. ``WHISPER_MODEL`` chooses the model.

At the end every client sends ``stop`` and waits for the rest of its transcript, so every word counts, however
late it comes. If there are more cores than ``--server-cores``, the clients are pinned to the other cores.

``--streams`` is repeated for several values: ``--streams 8 --streams 16``.
"""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path
from typing import Any

import click
import jiwer
import numpy as np
from whisper.normalizers import EnglishTextNormalizer

from benchmarks.machine import describe
from benchmarks.paced import Heard, ended, joined, listen, pin_apart, said, sample_talk, serving
from benchmarks.player import Talk, load_talk
from benchmarks.scoring import Message, Score, score

#: Length of a first stream, which is not measured, while the server warms up.
_WARM_UP_S = 3.0


def scored(client: Heard, talk: Talk, seconds: float) -> Score:
    """Return the score of the client's stream."""
    messages = [
        Message(at, message["type"] == "final", message["text"])
        for at, message in client.messages
        if message["type"] in ("partial", "final")
    ]
    truth = said(talk, place=client.place, seconds=seconds)
    return score(messages, truth, ended(talk, place=client.place, seconds=seconds))


def step(clients: list[Heard], talk: Talk, seconds: float, memory_mb: int) -> dict[str, Any]:
    """Return one row of the table.

    :param memory_mb: the memory of the server after the step.
    """
    scores = [scored(client, talk, seconds) for client in clients]
    truths = [said(talk, place=client.place, seconds=seconds) for client in clients]
    normalise = EnglishTextNormalizer()
    words = jiwer.process_words(
        [normalise(" ".join(word.text for word in truth)) for truth in truths],
        [normalise("".join(message["text"] for _, message in client.of("final"))) for client in clients],
    )
    medians = [statistics.median(one.first_display) for one in scores if one.first_display]
    together = Score()
    for one in scores:
        together.add(one)
    told = [message["behind_s"] for client in clients for _, message in client.of("lag")]
    updates = sum(at <= seconds for client in clients for at, _ in client.of("partial"))
    finals = [sum(at <= seconds for at, _ in client.of("final")) for client in clients]
    return {
        "streams": len(clients),
        "display_s": _percentiles(together.first_display),
        "commit_s": _percentiles(together.commit),
        "last_final_s": _percentiles(together.last_final),
        "wer": round(100 * words.wer, 2),
        "best_stream_s": round(min(medians, default=np.inf), 2),
        "worst_stream_s": round(max(medians, default=np.inf), 2),
        "partials_a_second": round(updates / len(clients) / seconds, 2),
        "fewest_finals": min(finals),
        "most_finals": max(finals),
        "worst_lag_told_s": max(told, default=0.0),
        "memory_mb": memory_mb,
    }


def _percentiles(values: list[float]) -> list[float]:
    return [round(float(value), 2) for value in np.percentile(values or [np.inf], [50, 95, 99])]


_HEAD = (
    "| streams | words shown after, p50 / p95 / p99 | final after | last final of an utterance after "
    "| word error rate | shown: best and worst stream, p50 | partials a second | finals of a stream "
    "| lag reported | memory |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def _line(row: dict[str, Any]) -> str:
    delays = [
        " / ".join(f"{value:.2f}" for value in row[key]) + " s"
        for key in ("display_s", "commit_s", "last_final_s")
    ]
    evenness = f"{row['best_stream_s']:.2f} … {row['worst_stream_s']:.2f}"
    cells = [row["streams"], *delays, f"{row['wer']:.2f} %", f"{evenness} s"]
    counts = f"{row['fewest_finals']} … {row['most_finals']}"
    cells += [row["partials_a_second"], counts, f"{row['worst_lag_told_s']:.1f} s", f"{row['memory_mb']} MB"]
    return "| " + " | ".join(map(str, cells)) + " |"


@click.command(help=__doc__)
@click.option("--streams", type=int, multiple=True, default=[1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
@click.option("--talks", "folder", type=Path, help="folder of FLAC files; the bundled talk if left out")
@click.option("--limit", default=1.0, help="largest 95th percentile of the lag, in seconds")
@click.option("--seconds", default=30.0, help="length of each step")
@click.option("--server-cores", default=2)
@click.option("--port", default=5094)
@click.option("--json", "json_path", type=Path)
def main(
    streams: tuple[int, ...],
    folder: Path | None,
    limit: float,
    seconds: float,
    server_cores: int,
    port: int,
    json_path: Path | None,
) -> None:
    """Run the benchmark and print its table."""
    talk = joined([load_talk(path) for path in sorted(folder.glob("*.flac"))]) if folder else sample_talk()
    rows: list[dict[str, Any]] = []
    capacity = beyond = 0
    with serving("app.py", port=port) as server:
        url = f"ws://{server.address}/transcribe"
        pinned = pin_apart(server_cores)
        print(f"{describe()['processor']}, {len(os.sched_getaffinity(0))} cores here; {pinned}\n\n{_HEAD}")
        listen(url, talk, count=1, seconds=_WARM_UP_S)
        for count in streams:
            clients = listen(url, talk, count=count, seconds=seconds)
            rows.append(step(clients, talk, seconds, server.memory_mb()))
            print(_line(rows[-1]), flush=True)
            if rows[-1]["display_s"][1] <= limit:
                capacity = count
            else:
                beyond += 1
            if beyond == 2:
                break
    print(f"\nCapacity: {capacity} streams")
    if json_path:
        report = {
            "machine": describe(),
            "model": Path(os.environ.get("WHISPER_MODEL", "micro.en")).stem,
            "pinned": pinned,
            "capacity": capacity,
            "rows": rows,
        }
        json_path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

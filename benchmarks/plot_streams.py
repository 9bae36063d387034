"""Plots delays and errors by the number of streams: ``python -m benchmarks.plot_streams OUT.svg RESULTS …``.

Each results file of ``bench_streams`` has a row of two plots. Left: the delay until a word is shown and until
it is final, p50 and p95. Right: the word error rate.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.plotting import pairs_of_axes, save

_LINES = {"display_s": ("#0f6b5f", "shown"), "commit_s": ("#b3382c", "final")}


def main() -> None:
    """Draw the rows that ``bench_streams`` has saved."""
    out, *paths = sys.argv[1:]
    figure, grid = pairs_of_axes("streams", len(paths))
    for path, (left, right) in zip(paths, grid, strict=True):
        report = json.loads(Path(path).read_text())
        rows = report["rows"]
        streams = [row["streams"] for row in rows]
        for key, (colour, label) in _LINES.items():
            p50, p95 = ([row[key][at] for row in rows] for at in (0, 1))
            left.plot(streams, p50, "o-", color=colour, label=f"{label}, p50")
            left.plot(streams, p95, "o:", color=colour, label=f"{label}, p95")
        left.axhline(1.0, color="#888888", linewidth=0.5)
        left.set_ylabel("seconds after the end of the word")
        left.set_title(report["model"], loc="left")
        left.legend(frameon=False, fontsize=8)
        right.plot(streams, [row["wer"] for row in rows], "o-", color="#3556a8")
        right.set_ylabel("word error rate, %")
        for axes in (left, right):
            axes.set_xticks(streams)
            axes.set_ylim(bottom=0)
    for axes in grid[-1]:
        axes.set_xlabel("streams at once")
    save(figure, out)


if __name__ == "__main__":
    main()

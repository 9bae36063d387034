"""Latency against accuracy, a point a setting: ``python -m benchmarks.plot_quality RESULTS.json OUT.svg``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

_COLOURS = {"local_agreement": "#0f6b5f", "align_att": "#b3382c", "agreement_or_age": "#3556a8"}
_MARKERS = {"500 ms slices": "o", "250 ms slices": "s"}


def main() -> None:
    """Read the rows that ``bench_quality`` has saved and draw those of whole talks without noise."""
    rows = json.loads(Path(sys.argv[1]).read_text())["rows"]
    pyplot.rcParams |= {
        "font.size": 9,
        "svg.hashsalt": "quality",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    figure, axes = pyplot.subplots(figsize=(9, 3.6), layout="constrained")
    for name, row in rows.items():
        policy, *rest = name.split(", ")
        if policy not in _COLOURS or len(rest) != 1:
            continue
        shown, final = row["first_display_s"][0], row["commit_s"]
        colour, marker = _COLOURS[policy], _MARKERS[rest[0]]
        axes.plot([final[0], final[1]], [row["wer"]] * 2, color=colour, alpha=0.3, linewidth=2)
        axes.plot(final[0], row["wer"], marker, color=colour, label=f"{policy}, {rest[0]}")
        axes.plot(shown, row["wer"], marker, color=colour, markerfacecolor="white")
    axes.axhline(rows["offline"]["wer"], color="#888888", linestyle=":", label="offline")
    axes.set_xlabel("seconds behind the end of the word: first display (hollow), final p50 (filled) to p95")
    axes.set_ylabel("word error rate, %")
    axes.set_xlim(left=0)
    axes.margins(y=0.25)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()

"""Plots delays against errors: ``python -m benchmarks.plot_quality OUT.svg RESULTS.json …``.

Each results file has a row of two plots, with a point for each policy. Left: the delay until a word is final,
against the word error rate. Right: the delay until a word is shown, against the share of the shown words that
are revised.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes  # noqa: E402

from benchmarks.plotting import pairs_of_axes, save

_COLOURS = {
    "confident_agreement": "#0f6b5f",
    "local_agreement": "#b3382c",
    "align_att": "#3556a8",
    "three_in_a_row": "#8a5a00",
    "confident_without_age": "#7d3c98",
}
_MARKERS = {"500 ms slices": "o", "250 ms slices": "s"}


def main() -> None:
    """Read the rows that ``bench_quality`` has saved and draw those of the known policies and slices.

    A row with one more part in its name (of ``--shown``, ``--set`` or ``--noise``) gets a label, in the right
    plot only.
    """
    out, *paths = sys.argv[1:]
    figure, grid = pairs_of_axes("quality", len(paths))
    for path, (left, right) in zip(paths, grid, strict=True):
        rows = json.loads(Path(path).read_text())["rows"]
        _draw(rows, left, right)
        left.set_title(Path(path).stem.removeprefix("quality_"), loc="left")
    for axes, label in zip(grid[-1], ("final", "shown in its place"), strict=True):
        axes.set_xlabel(f"seconds from the end of the word until it is {label}, p50 to p95")
    handles = {
        str(handle.get_label()): handle
        for row in grid
        for axes in row
        for handle in axes.get_legend_handles_labels()[0]
    }
    figure.legend(
        list(handles.values()), list(handles), frameon=False, fontsize=8, loc="outside lower center", ncols=3
    )
    save(figure, out)


def _draw(rows: dict[str, Any], left: Axes, right: Axes) -> None:
    for name, row in rows.items():
        policy, slices, *rest = [*name.split(", "), ""]
        if policy not in _COLOURS or slices not in _MARKERS:
            continue
        colour, marker = _COLOURS[policy], _MARKERS[slices]
        label = f"{policy}, {slices}"
        if not rest[0]:
            _point(left, row["commit_s"], row["wer"], colour, marker, label)
        _point(right, row["first_display_s"], row["revised"], colour, marker, "" if rest[0] else label)
        if rest[0]:
            right.annotate(
                rest[0].removeprefix("shown "), (row["first_display_s"][1], row["revised"]), fontsize=7
            )
    left.axhline(rows["offline"]["wer"], color="#888888", linestyle=":", label="offline")
    left.set_ylabel("word error rate, %")
    right.set_ylabel("words revised, %")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlim(left=0)
        axes.margins(y=0.2)


def _point(axes: Axes, delay: list[float], value: float, colour: str, marker: str, label: str) -> None:
    axes.plot(delay[:2], [value] * 2, color=colour, alpha=0.3, linewidth=2)
    axes.plot(delay[0], value, marker, color=colour, label=label or None)


if __name__ == "__main__":
    main()

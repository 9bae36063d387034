"""The look of the plots: plain axes, and files that are the same each time they are drawn."""

from __future__ import annotations

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


def pairs_of_axes(name: str, rows: int) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with two plots in each row.

    :param name: makes the ids in the file differ from those of other plots on the same page.
    """
    pyplot.rcParams |= {
        "font.size": 9,
        "svg.hashsalt": name,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    figure, grid = pyplot.subplots(rows, 2, figsize=(10, 3.0 * rows), layout="constrained", squeeze=False)
    return figure, grid.tolist()


def save(figure: Figure, path: str) -> None:
    """Write the figure as SVG, without the date."""
    figure.savefig(path, metadata={"Date": None})

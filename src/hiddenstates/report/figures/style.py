"""What all figures have in common: their width, their colours, and how they are written."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from IPython.display import Image
from matplotlib.figure import Figure

WIDTH = 8.5  # inches: a notebook's column
INK, ACCENT, QUIET = "#22303c", "#c8553d", "#8aa1b1"
mpl.rcParams.update(
    {
        "font.size": 9,
        "text.color": INK,
        "axes.edgecolor": QUIET,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "xtick.color": INK,
        "ytick.color": INK,
    }
)


def publish(figure: Figure, path: Path) -> Image:
    """Write the figure as PNG, the same bytes each time, and return it for the notebook to show."""
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return Image(filename=path)


def blank(height: float, **grid: Any) -> tuple[Figure, Any]:
    """An empty figure, `height` inches high, and its axes; `grid` as for matplotlib's `subplots`."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(**grid)

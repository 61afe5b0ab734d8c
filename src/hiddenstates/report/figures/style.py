"""What all figures have in common: their width, their colours, and how they are written."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from IPython.display import Image
from matplotlib.figure import Figure

WIDTH = 8.5  # inches: a notebook's column
INK, ACCENT, QUIET = "#22303c", "#d55e00", "#8aa1b1"
BLUE = "#0072b2"
PALETTE = (BLUE, "#e69f00", "#009e73", "#cc79a7", "#56b4e9", ACCENT, "#000000")
"""Told apart with a colour deficiency, too (Okabe & Ito 2008); their yellow is too light for lines."""
MARKERS = "osD^vPX*"  # one more than colours, so that a pair of the two comes back only after 56 series
TINTS = ("#dceaf4", "#f6c667", "#8fd3bd", "#d9a0c4", "#9a9a9a", "#eb9d6b", "#fff3a8", "#7fa8e8")
"""Grounds that letters are read on, the first one the calmest."""
SHADES = "Blues"
"""Of numbers: from light to dark, so that they survive grey, too."""
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

"""What all figures have in common: their width, their colours, and how they are written."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from IPython.display import Image
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from hiddenstates.report.figures.letters import respell

Colour = str | tuple[float, float, float] | tuple[float, float, float, float]

WIDTH = 8.5  # inches: a notebook's column
INK, ACCENT, QUIET = "#22303c", "#a72b12", "#6a747d"
BLUE = "#0a5191"
"""On white, what is read has a contrast of 4.5 at least, what is looked at one of 3 (WCAG 2.2, 1.4.3 and 1.4.11)."""
PALETTE = (BLUE, "#d97301", "#03a95b", "#b877a2", "#417cf0", ACCENT, "#000000")
"""Told apart with a colour deficiency, too: Okabe & Ito's (2008), darkened until they can be seen on white."""
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
    """Write the figure as PNG, the same bytes each time, and return it for the notebook to show.

    Its texts are made `readable` first.
    """
    respell(figure)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return Image(filename=path)


def contrast(one: Colour, other: Colour = "white") -> float:
    """1 to 21: how far apart two colours are in brightness (WCAG 2.2, relative luminance)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def on(ground: Colour) -> str:
    """Black or white, whichever is read better on this ground; the contrast is 4.5 at least."""
    return max(("black", "white"), key=lambda colour: contrast(colour, ground))


def _luminance(colour: Colour) -> float:
    light = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return float(np.dot((0.2126, 0.7152, 0.0722), light))


def blank(height: float, **grid: Any) -> tuple[Figure, Any]:
    """An empty figure, `height` inches high, and its axes; `grid` as for matplotlib's `subplots`."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(**grid)

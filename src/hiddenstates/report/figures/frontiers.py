"""What is gained against what it costs."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from hiddenstates.report.figures.style import INK, QUIET, blank

MARKERS = "osD^vPX"


def frontiers(table: pd.DataFrame, gain: str, costs: Sequence[str], wanted: float) -> Figure:
    """A dot a row of the table, a panel a cost, on a logarithmic axis; a line at the gain that is wanted."""
    figure, axes = blank(3.4, ncols=len(costs), squeeze=False, sharey=True)
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(table)))
    for ax, cost in zip(axes.flat, costs, strict=True):
        ax.axhline(wanted, color=QUIET, lw=0.8, ls="--")
        for i, (name, row) in enumerate(table.iterrows()):
            ax.plot(row[cost], row[gain], MARKERS[i % len(MARKERS)], color=shades[i], mec=INK, mew=0.5, label=name)
        ax.set(xscale="log", xlabel=cost)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        ax.xaxis.set_major_formatter("{x:,g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(alpha=0.3, which="both")
        ax.margins(0.1)
    axes[0, 0].set_ylabel(gain)
    axes[0, -1].legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    return figure

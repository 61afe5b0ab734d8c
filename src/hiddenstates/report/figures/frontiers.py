"""What is gained against what it costs."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from hiddenstates.report.figures.charts import COLOURS
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


def served(table: pd.DataFrame, unit: str, best: str, default: str, margin: float) -> Figure:
    """What is lost against the best, with its interval: a panel by layers run, a panel by bytes per passage.

    table: by strategy; columns layers, bytes, difference, low, high, verdict; the best is marked by a star, the default
           by a square
    """
    figure, axes = blank(3.2, ncols=2, sharey=True)
    for ax, cost in zip(axes.flat, ("layers", "bytes"), strict=True):
        for name, row in table.iterrows():
            if name == best:
                ax.plot(row[cost], 0, "*", color=INK, ms=11)
                continue
            marker, colour = "s" if name == default else "o", COLOURS[row["verdict"]]
            ax.plot([row[cost]] * 2, [row["low"], row["high"]], color=colour, lw=1.5)
            ax.plot(row[cost], row["difference"], marker, color=colour, mec=INK, mew=0.5)
        ax.axhline(0, color=INK, lw=0.8)
        ax.axhspan(-margin, margin, color=QUIET, alpha=0.15, lw=0)
        ax.set_xlabel({"layers": "layers run", "bytes": "bytes per passage"}[cost])
        ax.margins(0.1)
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[1].set_xscale("log", base=2)
    axes[1].xaxis.set_major_formatter("{x:,g}")
    axes[0].set_ylabel(f"{unit} against the best on dev")
    figure.suptitle(f"star: {best}; square: {default}", fontsize="medium")
    return figure

"""What is gained against what it costs."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from hiddenstates.report.figures.charts import COLOURS
from hiddenstates.report.figures.style import INK, QUIET, blank


def frontiers(table: pd.DataFrame, gain: str, costs: Sequence[str], wanted: float) -> Figure:
    """A row per row of the table, named at its left; a panel for the gain, one per cost on a logarithmic axis.

    wanted: of the gain; what reaches it is filled, what does not hollow
    """
    figure, axes = blank(0.26 * len(table) + 1.1, ncols=1 + len(costs), sharey=True)
    places = range(len(table))[::-1]
    for ax, column in zip(axes, [gain, *costs], strict=True):
        for place, (_, row) in zip(places, table.iterrows(), strict=True):
            ax.plot(row[column], place, "o", color=INK, mfc=INK if row[gain] >= wanted else "white")
        ax.set_xlabel(column)
        ax.grid(alpha=0.3)
        ax.margins(x=0.12)
    axes[0].axvline(wanted, color=QUIET, lw=1, ls="--")
    axes[0].annotate(f"wanted: {wanted:g}", (wanted, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom")
    axes[0].set_yticks(places, table.index)
    for ax in axes[1:]:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        ax.xaxis.set_major_formatter("{x:,g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
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

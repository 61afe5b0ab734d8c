"""Charts: dots, lines, bars, intervals."""

from collections.abc import Mapping
from itertools import cycle, islice

import numpy as np
import pandas as pd
from jaxtyping import Float, Real
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hiddenstates.report.figures.style import ACCENT, BLUE, INK, MARKERS, PALETTE, QUIET, SHADES, blank
from hiddenstates.report.significance import BETTER, EQUIVALENT, UNDECIDED, WORSE

COLOURS = {BETTER: BLUE, WORSE: ACCENT, EQUIVALENT: INK, UNDECIDED: QUIET}
"""Of a difference, by its verdict."""


def steps(table: pd.DataFrame, unit: str) -> Figure:
    """A panel per first-level name, a row per second-level one: dev hollow, test filled; one scale for all panels."""
    names = list(table.index.unique(0))
    figure, axes = blank(2.6, ncols=len(names), squeeze=False, sharex=True, sharey=True)
    for ax, name in zip(axes.flat, names, strict=True):
        rows = table.loc[name]
        places = range(len(rows))
        ax.hlines(places, rows["dev"], rows["test"], color=QUIET, lw=1)
        ax.plot(rows["dev"], places, "o", mfc="white", color=INK, label="dev, where it was chosen")
        ax.plot(rows["test"], places, "o", color=ACCENT, label="test")
        ax.set_yticks(places, rows.index)
        ax.set_title(name)
        ax.grid(axis="x", alpha=0.3)
    axes[0, 0].invert_yaxis()
    figure.supxlabel(unit, size=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    return figure


def scatter(points: pd.DataFrame, marked: Mapping[str, str], unit: str) -> Figure:
    """dev against test, one dot a strategy; marked: a name for some of them."""
    figure, ax = blank(4.2)
    ax.plot(points["dev"], points["test"], "o", color=QUIET, alpha=0.8, ms=4)
    for i, (name, strategy) in enumerate(marked.items()):
        x, y = points.loc[strategy, ["dev", "test"]]
        ax.plot(x, y, "o", color=ACCENT, ms=8, mfc="white" if i else ACCENT, mew=2)
        ax.annotate(name, (x, y), xytext=(9, -12 if i % 2 else 6), textcoords="offset points")
    ax.set(xlabel=f"dev, {unit}", ylabel=f"test, {unit}")
    ax.margins(0.15)
    ax.grid(alpha=0.3)
    return figure


def differences(table: pd.DataFrame, unit: str, against: str, margin: float = 0.0) -> Figure:
    """A dot and its 95% interval per row, coloured by its verdict; columns difference, low, high, verdict.

    margin: a smaller difference does not matter; shaded
    """
    figure, ax = blank(0.34 * len(table) + 1.1)
    for i, (_, row) in enumerate(table.iloc[::-1].iterrows()):
        color = COLOURS[row["verdict"]]
        ax.plot([row["low"], row["high"]], [i, i], color=color, lw=2.5, solid_capstyle="round")
        ax.plot(row["difference"], i, "o", color=color, ms=7)
    ax.axvline(0, color=INK, lw=0.8)
    ax.axvspan(-margin, margin, color=QUIET, alpha=0.15, lw=0)
    for verdict in [name for name in COLOURS if name in set(table["verdict"])]:
        ax.plot([], [], "o-", color=COLOURS[verdict], lw=2.5, label=verdict)
    ax.legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    ax.set_yticks(range(len(table)), table.index[::-1])
    ax.set_xlabel(f"difference in {unit} against {against}, with its 95% interval")
    ax.grid(axis="x", alpha=0.3)
    ax.margins(y=0.12)
    return figure


def estimates(series: Mapping[str, pd.DataFrame], unit: str, rows: str) -> Figure:
    """A dot and its 95% interval per row and series; columns value, low, high. For many series, `facets`."""
    names = next(iter(series.values())).index
    figure, ax = blank(0.36 * len(names) + 1.1)
    offsets = np.linspace(0.22, -0.22, len(series)) if len(series) > 1 else [0.0]
    for (name, table), look, offset in zip(series.items(), _looks(len(series)), offsets, strict=True):
        _intervals(ax, table, np.arange(len(names))[::-1] + offset, name, look)
    ax.set_yticks(range(len(names)), names[::-1])
    ax.set(xlabel=unit, ylabel=rows)
    _legend(ax, len(series))
    ax.grid(axis="x", alpha=0.3)
    return figure


def facets(tables: Mapping[str, pd.DataFrame], unit: str) -> Figure:
    """A panel per table under its heading, a dot and its 95% interval per row; all rows named, one scale for all.

    Columns value, low, high; the tables have the same rows.
    """
    names = next(iter(tables.values())).index
    across = min(3, len(tables))
    down = -(-len(tables) // across)
    height = down * (0.24 * len(names) + 0.5) + 0.4
    figure, axes = blank(height, nrows=down, ncols=across, squeeze=False, sharex=True, sharey=True)
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    for ax, (title, table) in zip(axes.flat, tables.items(), strict=False):
        _intervals(ax, table.loc[names], np.arange(len(names))[::-1], title, (BLUE, "o"))
        ax.set_yticks(range(len(names)), names[::-1])
        ax.set_title(title)
        ax.grid(alpha=0.3)
    figure.supxlabel(unit, size=9)
    return figure


def _intervals(
    ax: Axes, table: pd.DataFrame, places: Real[np.ndarray, " row"], name: str, look: tuple[str, str]
) -> None:
    color, marker = look
    ax.hlines(places, table["low"], table["high"], color=color, lw=1.2)
    ax.plot(table["value"], places, marker, color=color, ms=5, label=name)


def _looks(n: int) -> list[tuple[str, str]]:
    """A colour and a marker for each of n series: who cannot tell the colours apart has the markers."""
    return list(islice(zip(cycle(PALETTE), cycle(MARKERS), strict=False), n))


def _legend(ax: Axes, n: int) -> None:
    """Beside the axes, where there is something to tell apart."""
    if n > 1:
        ax.legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")


def lines(table: pd.DataFrame, x: str, y: str, title: str = "", log: bool = False) -> Figure:
    """One line per column over the index; log: both axes logarithmic."""
    figure, ax = blank(2.9)
    for name, (color, marker) in zip(table.columns, _looks(table.shape[1]), strict=True):
        ax.plot(table.index, table[name], marker + "-", color=color, ms=4, lw=1.6, label=name)
    ax.set(xlabel=x, ylabel=y, title=title)
    ax.set(xscale="log", yscale="log") if log else ax.set_xticks(list(table.index))
    _legend(ax, table.shape[1])
    ax.grid(alpha=0.3)
    return figure


def spread(values: Float[np.ndarray, "item rank"], x: str, y: str) -> Figure:
    """Over the ranks 1, 2, …: the median over the items, and the band that holds the middle half of them."""
    figure, ax = blank(2.9)
    ranks = np.arange(1, values.shape[1] + 1)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    ax.fill_between(ranks, low, high, facecolor="#d5d9dd", edgecolor=QUIET, lw=1, label="middle half")
    ax.plot(ranks, middle, "o-", color=ACCENT, ms=4, label="median")
    ax.set(xlabel=x, ylabel=y, xticks=ranks)
    ax.legend(frameon=False)
    ax.grid(alpha=0.3)
    return figure


def bars(table: pd.DataFrame, x: str, y: str = "") -> Figure:
    """Stacked horizontal bars: one per row, one colour per column, totals at the end."""
    figure, ax = blank(0.34 * len(table) + 1.1)
    shades = colormaps[SHADES](np.linspace(0.35, 0.9, table.shape[1]))
    table.iloc[::-1].plot.barh(
        stacked=True, ax=ax, color=list(shades), width=0.7, legend=False, edgecolor=INK, linewidth=0.6
    )
    for i, total in enumerate(table.iloc[::-1].sum(axis=1)):
        ax.text(total, i, f" {total:,.0f}", va="center")
    ax.set(xlabel=x, ylabel=y)
    ax.margins(x=0.1)  # the longest bar's total stands inside
    _legend(ax, table.shape[1])
    return figure

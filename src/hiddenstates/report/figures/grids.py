"""Grids: a table as colours, letters or dots."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hiddenstates.core.strategy import Strategy
from hiddenstates.report.figures.style import ACCENT, INK, blank


def heatmaps(
    tables: Mapping[str, pd.DataFrame], unit: str, rows: str, columns: str, frame_best: bool = False
) -> Figure:
    """One heat map a table, each cell with its value; every map has its own colours, its best cell a frame if asked."""
    across = min(3, len(tables))
    down = -(-len(tables) // across)
    heights = [len(table) for table in tables.values()]
    alike = "row" if len(set(heights)) == 1 else "none"
    figure, axes = blank(down * (0.27 * max(heights) + 1), nrows=down, ncols=across, squeeze=False, sharey=alike)
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    for ax, (title, table) in zip(axes.flat, tables.items(), strict=False):
        values = table.to_numpy(float)
        ax.imshow(values, cmap="Blues", aspect="auto", vmin=0)
        for (i, j), value in np.ndenumerate(values):
            light = value > 0.6 * values.max() > 0
            ax.text(
                j, i, f"{value:.2f}".removeprefix("0"), ha="center", va="center", color="w" if light else INK, size=7.5
            )
        if frame_best:
            i, j = np.unravel_index(values.argmax(), values.shape)
            ax.add_patch(mpl.patches.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=ACCENT, lw=2))
        ax.set_xticks(range(table.shape[1]), table.columns)
        ax.set_yticks(range(table.shape[0]), table.index)
        ax.set_title(title)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    figure.supylabel(rows, size=9)
    figure.supxlabel(f"{columns}; numbers: {unit}", size=9)
    return figure


def members(tops: Mapping[str, pd.Series], n_states: int, unit: str) -> Figure:
    """Which layers the best strategies hold: a panel a query set, a row a strategy, a dot a layer."""
    figure, axes = blank(
        0.24 * sum(map(len, tops.values())) + 0.5 * len(tops), nrows=len(tops), squeeze=False, sharex=True
    )
    for ax, (title, scores) in zip(axes.flat, tops.items(), strict=True):
        chosen = [Strategy.parse(str(name)) for name in scores.index]
        for i, strategy in enumerate(chosen):
            ax.plot(range(n_states), [i] * n_states, "o", color="#e3e8ec", ms=7)
            ax.plot(
                strategy.layers, [i] * len(strategy.layers), "-o", color=ACCENT if i == 0 else "#2f6690", ms=7, lw=1
            )
        kinds = [f"{'weighted ' * bool(s.weights)}{s.combine} {s.pool}{s.steps.replace('+', ' +')}" for s in chosen]
        ax.set_yticks(range(len(chosen)), [f"{kind}  {v:.3f}" for kind, v in zip(kinds, scores, strict=True)])
        ax.set_title(title, loc="left")
        ax.margins(y=0.12)
        ax.invert_yaxis()
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    axes[-1, 0].set_xticks(range(0, n_states, -(-n_states // 26)))
    axes[-1, 0].set_xlabel(f"hidden state; numbers: {unit}")
    return figure


def lettered(tables: Mapping[str, pd.DataFrame], unit: str) -> Figure:
    """A panel a table of single letters, one colour a letter; what follows the letter is shown, not coloured."""
    across = min(3, len(tables))
    down = -(-len(tables) // across)
    rows = list(dict.fromkeys(name for table in tables.values() for name in table.index))
    figure, axes = blank(down * (0.27 * len(rows) + 0.7), nrows=down, ncols=across, squeeze=False, sharey=True)
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    for ax, (title, table) in zip(axes.flat, tables.items(), strict=False):
        texts = table.reindex(rows).fillna("").to_numpy(str)
        codes = np.vectorize(lambda text: ord(text[0]) - ord("A") if text else np.nan, otypes=[float])(texts)
        ax.imshow(codes, cmap="Pastel1", vmin=0, vmax=8, aspect="auto")
        for (i, j), text in np.ndenumerate(texts):
            ax.text(j, i, text, ha="center", va="center", size=8, color=ACCENT if len(text) > 1 else INK)
        ax.set_xticks(range(table.shape[1]), table.columns)
        ax.set_yticks(range(len(rows)), rows)
        ax.set_title(title)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    figure.supxlabel(unit, size=9)
    return figure

"""The lab's figures. The one door to matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from IPython.display import Image
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image as Pictures

from hiddenstates.core.strategy import Strategy

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


def _figure(height: float, **grid: Any) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(**grid)


def heatmaps(
    tables: Mapping[str, pd.DataFrame], unit: str, rows: str, columns: str, frame_best: bool = False
) -> Figure:
    """One heat map a table, each cell with its value; every map has its own colours, its best cell a frame if asked."""
    across = min(3, len(tables))
    down = -(-len(tables) // across)
    heights = [len(table) for table in tables.values()]
    alike = "row" if len(set(heights)) == 1 else "none"
    figure, axes = _figure(down * (0.27 * max(heights) + 1), nrows=down, ncols=across, squeeze=False, sharey=alike)
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
    figure, axes = _figure(
        0.24 * sum(map(len, tops.values())) + 0.5 * len(tops), nrows=len(tops), squeeze=False, sharex=True
    )
    for ax, (title, scores) in zip(axes.flat, tops.items(), strict=True):
        chosen = [Strategy.parse(str(name)) for name in scores.index]
        for i, strategy in enumerate(chosen):
            ax.plot(range(n_states), [i] * n_states, "o", color="#e3e8ec", ms=7)
            ax.plot(
                strategy.layers, [i] * len(strategy.layers), "-o", color=ACCENT if i == 0 else "#2f6690", ms=7, lw=1
            )
        kinds = [
            f"{'weighted ' * bool(s.weights)}{s.combine} {s.pool}{' +ln' * s.layer_norm}{' +white' * s.whiten}"
            for s in chosen
        ]
        ax.set_yticks(range(len(chosen)), [f"{kind}  {v:.3f}" for kind, v in zip(kinds, scores, strict=True)])
        ax.set_title(title, loc="left")
        ax.margins(y=0.12)
        ax.invert_yaxis()
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    axes[-1, 0].set_xticks(range(n_states))
    axes[-1, 0].set_xlabel(f"hidden state; numbers: {unit}")
    return figure


def steps(table: pd.DataFrame, unit: str) -> Figure:
    """A panel a first-level name, a row a second-level one: dev hollow, test filled."""
    names = list(table.index.unique(0))
    figure, axes = _figure(2.6, ncols=len(names), squeeze=False, sharey=True)
    for ax, name in zip(axes.flat, names, strict=True):
        rows = table.loc[name]
        places = range(len(rows))
        ax.plot(rows["dev"], places, "o--", mfc="white", color=QUIET, label="dev, where it was chosen")
        ax.plot(rows["test"], places, "o-", color=ACCENT, label="test")
        ax.set_yticks(places, rows.index)
        ax.set_title(name)
        ax.grid(axis="x", alpha=0.3)
    axes[0, 0].invert_yaxis()
    figure.supxlabel(unit, size=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    return figure


def scatter(points: pd.DataFrame, marked: Mapping[str, str], unit: str) -> Figure:
    """dev against test, one dot a strategy; marked: a name for some of them."""
    figure, ax = _figure(4.2)
    ax.plot(points["dev"], points["test"], "o", color=QUIET, alpha=0.5, ms=4)
    for i, (name, strategy) in enumerate(marked.items()):
        x, y = points.loc[strategy, ["dev", "test"]]
        ax.plot(x, y, "o", color=ACCENT, ms=8, mfc="white" if i else ACCENT, mew=2)
        ax.annotate(name, (x, y), xytext=(9, -12 if i % 2 else 6), textcoords="offset points")
    ax.set(xlabel=f"dev, {unit}", ylabel=f"test, {unit}")
    ax.margins(0.15)
    ax.grid(alpha=0.3)
    return figure


def differences(table: pd.DataFrame, unit: str, against: str) -> Figure:
    """A dot and its 95% interval a row; columns difference, low, high, and p already corrected."""
    figure, ax = _figure(0.34 * len(table) + 1.1)
    for i, (_, row) in enumerate(table.iloc[::-1].iterrows()):
        color = ACCENT if row["p"] < 0.05 else QUIET
        ax.plot([row["low"], row["high"]], [i, i], color=color, lw=2.5, solid_capstyle="round")
        ax.plot(row["difference"], i, "o", color=color, ms=7)
    ax.axvline(0, color=INK, lw=0.8)
    ax.set_yticks(range(len(table)), table.index[::-1])
    ax.set_xlabel(f"difference in {unit} against {against}, with its 95% interval (red: p < 0.05 after Holm)")
    ax.grid(axis="x", alpha=0.3)
    ax.margins(y=0.12)
    return figure


def estimates(series: Mapping[str, pd.DataFrame], unit: str, rows: str) -> Figure:
    """A dot and its 95% interval a row and series; columns value, low, high."""
    names = next(iter(series.values())).index
    figure, ax = _figure(0.36 * len(names) + 1.1)
    shades = mpl.colormaps["viridis"](np.linspace(0.05, 0.8, len(series)))
    offsets = np.linspace(0.22, -0.22, len(series)) if len(series) > 1 else [0.0]
    for (name, table), color, offset in zip(series.items(), shades, offsets, strict=True):
        places = np.arange(len(names))[::-1] + offset
        ax.hlines(places, table["low"], table["high"], color=color, lw=1.6, alpha=0.5)
        ax.plot(table["value"], places, "o", color=color, ms=5, label=name)
    ax.set_yticks(range(len(names)), names[::-1])
    ax.set(xlabel=unit, ylabel=rows)
    ax.legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    ax.grid(axis="x", alpha=0.3)
    return figure


def lines(table: pd.DataFrame, x: str, y: str, title: str = "") -> Figure:
    """One line a column over the index, named at its end."""
    figure, ax = _figure(2.9)
    shades = mpl.colormaps["viridis"](np.linspace(0.05, 0.85, table.shape[1]))
    for name, color in zip(table.columns, shades, strict=True):
        ax.plot(table.index, table[name], "o-", color=color, ms=4, lw=1.6, label=name)
    ax.set(xlabel=x, ylabel=y, title=title, xticks=list(table.index))
    ax.legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    ax.grid(alpha=0.3)
    return figure


def spread(values: Float[np.ndarray, "item rank"], x: str, y: str) -> Figure:
    """Over the ranks 1, 2, …: the median over the items, and the band that holds the middle half of them."""
    figure, ax = _figure(2.9)
    ranks = np.arange(1, values.shape[1] + 1)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    ax.fill_between(ranks, low, high, color=QUIET, alpha=0.35, lw=0, label="middle half")
    ax.plot(ranks, middle, "o-", color=ACCENT, ms=4, label="median")
    ax.set(xlabel=x, ylabel=y, xticks=ranks)
    ax.legend(frameon=False)
    ax.grid(alpha=0.3)
    return figure


def bars(table: pd.DataFrame, x: str, y: str = "") -> Figure:
    """Stacked horizontal bars: one a row, one colour a column, totals at the end."""
    figure, ax = _figure(0.34 * len(table) + 1.1)
    shades = mpl.colormaps["Blues"](np.linspace(0.35, 0.9, table.shape[1]))
    table.iloc[::-1].plot.barh(stacked=True, ax=ax, color=list(shades), width=0.7)
    for i, total in enumerate(table.iloc[::-1].sum(axis=1)):
        ax.text(total, i, f" {total:,.0f}", va="center")
    ax.set(xlabel=x, ylabel=y)
    ax.legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def lettered(tables: Mapping[str, pd.DataFrame], unit: str) -> Figure:
    """A panel a table of single letters, one colour a letter; what follows the letter is shown, not coloured."""
    across = min(3, len(tables))
    down = -(-len(tables) // across)
    rows = list(dict.fromkeys(name for table in tables.values() for name in table.index))
    figure, axes = _figure(down * (0.27 * len(rows) + 0.7), nrows=down, ncols=across, squeeze=False, sharey=True)
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


def pictures(rows: Mapping[str, Sequence[Path]]) -> Figure:
    """One row of images a name, each at its own proportions, without smoothing."""
    across = max(len(paths) for paths in rows.values())
    figure, axes = _figure(1.15 * len(rows), nrows=len(rows), ncols=across, squeeze=False)
    for line, (name, paths) in zip(axes, rows.items(), strict=True):
        for ax in line:
            ax.set_axis_off()
        for ax, path in zip(line, paths, strict=False):
            with Pictures.open(path) as picture:
                ax.imshow(picture.convert("RGB"), interpolation="nearest")
        line[0].set_title(name, loc="left", size=9)
    return figure

"""Grids: a table as colours, letters or dots."""

import math
from collections.abc import Iterable, Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke

from hiddenstates.core.strategy import Strategy
from hiddenstates.report.figures.style import ACCENT, BLUE, INK, QUIET, SHADES, TINTS, WIDTH, blank, on

ROW = 0.27  # inches
LEAST = 3  # rows: as high is a heat map of fewer, so that its colour bar can be read
TURN = 35  # degrees: names of columns that do not fit beside each other
TURNED = 0.26  # inches: what such a name takes of the width, a line's height over the sine of the angle
FULL = 49.0  # square points: the dot of the largest weight
SIZE = 7.5  # points: the numbers in the cells
SEEN = 0.005  # of a number with two decimals: where none is larger, all are as pale as 0
NAME = 9.0  # points: the names of rows, columns and scales
OUTLINE = [withStroke(linewidth=2, foreground="w")]  # red on any ground


def heatmaps(tables: Mapping[str, pd.DataFrame], unit: str | Mapping[str, str], rows: str, columns: str) -> Figure:
    """One heat map per table, each cell with its number where there is room for all; a colour bar tells the scale.

    unit: what the numbers are, in all tables or in each by its title; those of one unit share one scale of colours
    """
    units = {title: unit if isinstance(unit, str) else unit[title] for title in tables}
    across = min(3, len(tables))
    down = -(-len(tables) // across)
    heights = [len(table) for table in tables.values()]
    alike = "row" if len(set(heights)) == 1 else "none"
    height = ROW * max(LEAST, *heights)
    figure, axes = blank(down * (height + 1), nrows=down, ncols=across, squeeze=False, sharey=alike)
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    panels = dict(zip(tables, axes.flat, strict=False))
    width = WIDTH * (0.85 if len(set(units.values())) == 1 else 0.7) / across  # of a panel; bars take the rest
    for one in dict.fromkeys(units.values()):
        own = {title: table for title, table in tables.items() if units[title] == one}
        bar = _one_scale(own, [panels[title] for title in own], width)
        bar.set_label(fill(one, _letters(down * height, NAME), break_long_words=False))
    figure.supylabel(rows, size=9)
    figure.supxlabel(columns, size=9)
    return figure


def _one_scale(tables: Mapping[str, pd.DataFrame], axes: list[Axes], width: float) -> Colorbar:
    """Draw the tables in the same colours, whose bar is beside them. width: of a panel, in inches."""
    values = np.concatenate([table.to_numpy(float).ravel() for table in tables.values()])
    low, high = np.nanmin(values, initial=0), np.nanmax(values, initial=0)
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        cells = table.to_numpy(float)
        image = ax.imshow(cells, cmap=SHADES, aspect="auto", vmin=low, vmax=high if high >= SEEN else 1)
        _numbers(ax, cells, image, width)
        _columns(ax, [str(name) for name in table.columns], width)
        ax.set_yticks(range(table.shape[0]), table.index)
        ax.set_title(title)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    bar = axes[0].figure.colorbar(image, ax=axes, fraction=0.04, aspect=30)
    bar.outline.set_visible(False)
    return bar


def _columns(ax: Axes, names: list[str], width: float) -> None:
    """The names under the columns: of numbers every so many as there is room for; others are turned, then thinned."""
    if not _wide(names, width / len(names), NAME):
        ax.set_xticks(range(len(names)), names)
    elif all(name.isdecimal() for name in names):
        shown = range(0, len(names), math.ceil(len(names) * max(_inches(name, NAME) for name in names) / width))
        ax.set_xticks(shown, [names[i] for i in shown])
    else:
        shown = range(0, len(names), math.ceil(len(names) * TURNED / width))
        ax.set_xticks(shown, [names[i] for i in shown], rotation=TURN, ha="right", rotation_mode="anchor")


def _numbers(ax: Axes, cells: Float[np.ndarray, "row column"], image: AxesImage, width: float) -> None:
    """Write the cells' numbers, or none if the longest is wider than a cell; black or white, as their ground asks."""
    whole = (cells == cells.round()).all()
    texts = {at: f"{x:.0f}" if whole else f"{x:.2f}".removeprefix("0") for at, x in np.ndenumerate(cells)}
    if _wide(texts.values(), width / cells.shape[1], SIZE):
        return
    for (i, j), text in texts.items():
        red, green, blue, _ = image.to_rgba(cells[i, j])
        ax.text(j, i, text, ha="center", va="center", color=on((red, green, blue)), size=SIZE)


def _wide(texts: Iterable[str], width: float, size: float) -> bool:
    """Whether a text and a gap are wider than so many inches."""
    return max((_inches(text, size) for text in texts), default=0) > width


def _inches(text: str, size: float) -> float:
    """How wide a text of so many points is, and a gap; a letter or digit is about .6 of its height wide."""
    return (len(text) + 1) * 0.6 * size / 72


def _letters(width: float, size: float) -> int:
    """How many letters of so many points have room in so many inches."""
    return max(1, int(width * 72 / (0.6 * size)))


def members(tops: Mapping[str, pd.Series], n_states: int, unit: str) -> Figure:
    """Which layers the best strategies hold: a panel per query set, a row per strategy, a dot per layer.

    The area of a dot is its share of the largest weight, hollow if below 0; without weights all count the same.
    """
    height = 0.24 * sum(map(len, tops.values())) + 0.5 * len(tops)
    figure, axes = blank(height, nrows=len(tops), squeeze=False, sharex=True)
    for ax, (title, scores) in zip(axes.flat, tops.items(), strict=True):
        chosen = [Strategy.parse(str(name)) for name in scores.index]
        for i, strategy in enumerate(chosen):
            ax.scatter(range(n_states), [i] * n_states, s=3, color=QUIET, lw=0, zorder=1)
            _dots(ax, strategy, i, ACCENT if i == 0 else BLUE)
        kinds = [f"{'weighted ' * bool(s.weights)}{s.combine} {s.pool}{s.steps.replace('+', ' +')}" for s in chosen]
        ax.set_yticks(range(len(chosen)), [f"{kind}  {v:.3f}" for kind, v in zip(kinds, scores, strict=True)])
        ax.set_title(title, loc="left")
        ax.margins(y=0.12)
        ax.invert_yaxis()
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    axes[-1, 0].set_xticks(range(0, n_states, -(-n_states // 26)))
    axes[-1, 0].set_xlabel(f"hidden state, its weight the dot's area (hollow: below 0); numbers: {unit}")
    return figure


def _dots(ax: Axes, strategy: Strategy, row: int, color: str) -> None:
    weights = np.array(strategy.weights or [1.0] * len(strategy.layers))
    sizes = FULL * abs(weights) / (abs(weights).max() or 1)
    faces = [color if weight >= 0 else "white" for weight in weights]
    ax.hlines(row, min(strategy.layers), max(strategy.layers), color=QUIET, lw=0.7, zorder=0)
    ax.scatter(
        strategy.layers,
        [row] * len(sizes),
        s=sizes,
        zorder=2,
        c=faces,
        edgecolors=color,
        linewidths=[0.8 * (weight < 0) for weight in weights],
    )


def lettered(tables: Mapping[str, pd.DataFrame], unit: str) -> Figure:
    """A panel per table of single letters, each in its colour, A in the calmest; what follows a letter has none."""
    across = min(3, len(tables))
    down = -(-len(tables) // across)
    rows = list(dict.fromkeys(name for table in tables.values() for name in table.index))
    figure, axes = blank(down * (0.27 * len(rows) + 0.7), nrows=down, ncols=across, squeeze=False, sharey=True)
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    for ax, (title, table) in zip(axes.flat, tables.items(), strict=False):
        texts = table.reindex(rows).fillna("").to_numpy(str)
        codes = np.vectorize(lambda text: ord(text[0]) - ord("A") if text else np.nan, otypes=[float])(texts)
        ax.imshow(codes % len(TINTS), cmap=ListedColormap(TINTS), vmin=-0.5, vmax=len(TINTS) - 0.5, aspect="auto")
        for (i, j), text in np.ndenumerate(texts):
            look = {"color": ACCENT, "weight": "bold", "path_effects": OUTLINE} if len(text) > 1 else {"color": INK}
            ax.text(j, i, text, ha="center", va="center", size=8, **look)
        ax.set_xticks(range(table.shape[1]), table.columns)
        ax.set_yticks(range(len(rows)), rows)
        ax.set_title(title)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    figure.supxlabel(unit, size=9)
    return figure

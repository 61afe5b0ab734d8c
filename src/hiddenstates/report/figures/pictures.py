"""Images, as they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from hiddenstates.core.images import read_image
from hiddenstates.report.figures.style import WIDTH, blank

Pixels = Float[np.ndarray, "height width 3"]
Cells = Float[np.ndarray, "side side"]

TOO_MANY = 8  # cells to a side in which no number would be read


def pictures(rows: Mapping[str, Sequence[Path]]) -> Figure:
    """One row of images a name, each at its own proportions, without smoothing."""
    across = max(len(paths) for paths in rows.values())
    figure, axes = blank(1.15 * len(rows), nrows=len(rows), ncols=across, squeeze=False)
    for line, (name, paths) in zip(axes, rows.items(), strict=True):
        for ax in line:
            ax.set_axis_off()
        for ax, path in zip(line, paths, strict=False):
            ax.imshow(read_image(path), interpolation="nearest")
        line[0].set_title(name, loc="left", size=9)
    return figure


def overlays(seen: Mapping[str, Pixels], maps: Mapping[str, Mapping[str, Cells]], unit: str) -> Figure:
    """A row a picture: itself under its grid, then in grey under a number a cell; a column has one scale of colours.

    seen: name -> picture; maps: the same name -> title of the column -> numbers
    """
    titles = list(next(iter(maps.values())))
    across = 1 + len(titles)
    figure, axes = blank(len(seen) * (WIDTH / across + 0.1) + 0.4, nrows=len(seen), ncols=across, squeeze=False)
    scales = {title: np.concatenate([cells[title].ravel() for cells in maps.values()]) for title in titles}
    for line, (name, picture) in zip(axes, seen.items(), strict=True):
        sides = [maps[name][titles[0]].shape[0], *(maps[name][title].shape[0] for title in titles)]
        for ax, side in zip(line, sides, strict=True):
            ground = picture if ax is line[0] else picture.mean(-1)
            ax.imshow(ground, cmap="gray", vmin=0, vmax=1, extent=(0, side, side, 0), interpolation="nearest")
            ax.set(xticks=range(side + 1), yticks=range(side + 1), xticklabels=[], yticklabels=[])
            ax.grid(color="w", lw=0.8)
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(name, size=9)
        for ax, title in zip(line[1:], titles, strict=True):
            _tint(ax, maps[name][title], scales[title])
    for ax, title in zip(axes[0], ["as the encoder sees it", *titles], strict=True):
        ax.set_title(title, size=8.5)
    figure.supxlabel(unit, size=9)
    return figure


def _tint(ax: Axes, cells: Cells, scale: Float[np.ndarray, " cell"]) -> None:
    """Colour the cells, and write their numbers if they can be read."""
    side = len(cells)
    extent = (0, side, side, 0)
    ax.imshow(cells, extent=extent, cmap="viridis", alpha=0.5, vmin=scale.min(), vmax=scale.max())
    outline = [withStroke(linewidth=1.5, foreground="k")]
    for (i, j), value in np.ndenumerate(cells if side <= TOO_MANY else np.empty((0, 0))):
        text = f"{value:.2f}".replace("0.", ".", 1)
        ax.text(j + 0.5, i + 0.5, text, ha="center", va="center", color="w", size=7.5, path_effects=outline)

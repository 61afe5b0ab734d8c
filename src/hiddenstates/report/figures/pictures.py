"""Images, as they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from hiddenstates.core.images import read_image
from hiddenstates.report.figures.style import blank


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

"""The lab's figures. The one door to matplotlib."""

from hiddenstates.report.figures.charts import bars, differences, estimates, facets, lines, scatter, spread, steps
from hiddenstates.report.figures.frontiers import frontiers, served
from hiddenstates.report.figures.gallery import gallery
from hiddenstates.report.figures.grids import heatmaps, lettered, members
from hiddenstates.report.figures.pictures import overlays, pictures
from hiddenstates.report.figures.style import ACCENT, WIDTH, publish

__all__ = [
    "ACCENT",
    "WIDTH",
    "bars",
    "differences",
    "estimates",
    "facets",
    "frontiers",
    "gallery",
    "heatmaps",
    "lettered",
    "lines",
    "members",
    "overlays",
    "pictures",
    "publish",
    "scatter",
    "served",
    "spread",
    "steps",
]

"""Questions that show an image, with what was found for them."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from hiddenstates.core.errors import LabError
from hiddenstates.core.images import read_image
from hiddenstates.report.figures.letters import readable
from hiddenstates.report.figures.style import ACCENT, BLUE, INK, QUIET, WIDTH
from hiddenstates.report.gallery import Case, Found

PASSAGE, MARGIN = 0.54, 0.12  # inches: a passage's height, and what lies between questions
QUESTION, FLAG, TEXT = 1.35, 3.45, 4.1  # inches from the left


def gallery(cases: Sequence[Case]) -> Figure:
    """A row a question: its image, its words, and the first passages, each with its image and marked right or wrong."""
    if not cases:
        raise LabError("gallery: there is no question to show. Pick at least one.")
    heights = [PASSAGE * max(2, len(case.found)) + MARGIN for case in cases]
    figure = Figure(figsize=(WIDTH, sum(heights)))
    top = sum(heights)
    for case, height in zip(cases, heights, strict=True):
        _question(figure, case, top)
        for i, found in enumerate(case.found):
            _passage(figure, found, top - i * PASSAGE)
        top -= height
    return figure


def _question(figure: Figure, case: Case, top: float) -> None:
    _picture(figure, case.image, 0.1, top, 1.1)
    _words(figure, textwrap.fill(readable(case.question), 24), QUESTION, top, size=9.5, weight="bold")
    rank = f"a right passage: rank {case.rank}" if case.rank else "no right passage was found"
    _words(figure, rank, QUESTION, top - 0.95, size=8, color=QUIET)


def _passage(figure: Figure, found: Found, top: float) -> None:
    if found.image:
        _picture(figure, found.image, FLAG, top, 0.5)
    mark, color = ("✓ right", BLUE) if found.right else ("✗ wrong", ACCENT)
    _words(figure, f"{mark}  {found.title}", TEXT, top, size=8.5, color=color, weight="bold")
    lines = textwrap.wrap(readable(found.text), 74, max_lines=2, placeholder=" …")
    _words(figure, "\n".join(lines), TEXT, top - 0.15, size=7.5)


def _picture(figure: Figure, path: Path, left: float, top: float, width: float) -> None:
    """The image, `width` inches wide, or less where it would be higher than wide. All in inches."""
    picture = read_image(path)
    scale = width / max(picture.size)
    wide, high = (side * scale for side in picture.size)
    height = figure.get_figheight()
    ax = figure.add_axes((left / WIDTH, (top - 0.08 - high) / height, wide / WIDTH, high / height))
    ax.imshow(picture, interpolation="nearest", aspect="auto")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)  # a white flag has an edge


def _words(
    figure: Figure, text: str, left: float, top: float, size: float, color: str = INK, weight: str = "normal"
) -> None:
    place = (left / WIDTH, (top - 0.07) / figure.get_figheight())
    figure.text(*place, text, size=size, color=color, weight=weight, va="top", linespacing=1.25)

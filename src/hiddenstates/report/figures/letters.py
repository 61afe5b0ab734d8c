"""Letters that the figures' font has not, or cannot join: written in Latin ones."""

from functools import cache
from itertools import groupby
from unicodedata import bidirectional

import matplotlib as mpl
from anyascii import anyascii
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

RIGHT_TO_LEFT = {"R", "AL"}


def readable(text: str) -> str:
    """The text, each run of letters that cannot be drawn transliterated: `東京, Japan` as `‹DongJing›, Japan`.

    matplotlib draws a box for what its font lacks (Thai, Chinese, Japanese, Korean, Devanagari, …), and Arabic and
    Hebrew from left to right, letters apart. A letter that has no transliteration is a question mark.
    """
    parts = groupby(text, drawn)
    return "".join(run if sound else f"‹{anyascii(run) or '?'}›" for sound, run in ((s, "".join(r)) for s, r in parts))


def drawn(letter: str) -> bool:
    """Whether a figure shows this letter as it is."""
    return letter.isspace() or (ord(letter) in _letters() and bidirectional(letter) not in RIGHT_TO_LEFT)


def respell(figure: Figure) -> None:
    """Make every text of the figure `readable`, the names of its ticks, too."""
    for ax in figure.axes:
        _respell_ticks(ax.xaxis)
        _respell_ticks(ax.yaxis)
    for text in figure.findobj(Text):
        text.set_text(readable(text.get_text()))


def _respell_ticks(axis: Axis) -> None:
    names = [label.get_text() for label in axis.get_majorticklabels()]
    if names != (new := [readable(name) for name in names]):
        axis.set_ticks(axis.get_majorticklocs(), new)


@cache
def _letters() -> frozenset[int]:
    """What the font has."""
    return frozenset(FT2Font(findfont(FontProperties(family=mpl.rcParams["font.family"]))).get_charmap())

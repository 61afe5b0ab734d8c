"""The question's own grid: at what rank each state, under each pooling, finds the right passage. A click chooses it."""

from collections.abc import Callable
from html import escape
from math import log10

import ipywidgets as widgets
import pandas as pd

from hiddenstates.explorer.page import unfound

AUTO = widgets.Layout(width="auto", align_self="flex-start")
CELL = widgets.Layout(width="64px", height="26px", margin="1px", padding="0")
NEAR = 10
"""Up to this rank a cell is marked: a reader sees so many passages."""

NAMES, COLUMN = 74, 66  # pixels: the names before the grid, and one of its columns
HEIGHT, EDGE, END, LETTERS = 120, 10, 220, 13  # pixels: the curves, above and below them, names at their end
DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4")
TOLD = "The rank of the right passage by each state alone; a click chooses one. The best is"
NOTHING = "No answer is known to this question, so there is no grid: take an example, text and image as they are."


class QuestionGrid:
    """A button that opens the grid, a cell for each state (across) and pooling (down), and the curves over the states.

    choose: takes the strategy of the cell that is clicked, as a string
    """

    def __init__(self, choose: Callable[[str], None]) -> None:
        self._choose = choose
        self.shown = widgets.ToggleButton(False, description="every layer × pooling", icon="th", layout=AUTO)
        self.told, self.cells, self.curves = widgets.HTML(), widgets.VBox(), widgets.HTML()
        self.rows = [self.told, self.cells, self.curves]

    def hide(self) -> None:
        """Nothing but the button."""
        self.told.value = self.curves.value = ""
        self.cells.children = ()

    def show(self, ranks: pd.DataFrame) -> None:
        """ranks: [pooling, layer], of the best right passage; empty where none is known"""
        if ranks.empty:
            self.hide()
            self.told.value = unfound(NOTHING)
            return
        best = int(ranks.to_numpy().min())
        self.told.value = f'<p class="hs-told">{TOLD} {best:,}.</p>'
        head = [widgets.Label("layer").add_class("hs-name"), *(_number(str(layer)) for layer in ranks.columns)]
        self.cells.children = [widgets.HBox(head), *(self._row(pool, ranks.loc[pool]) for pool in ranks.index)]
        self.curves.value = curves(ranks)

    def _row(self, pool: str, ranks: pd.Series) -> widgets.HBox:
        cells = [self._cell(f"{layer}/{pool}", rank) for layer, rank in ranks.items()]
        return widgets.HBox([widgets.Label(pool).add_class("hs-name"), *cells])

    def _cell(self, strategy: str, rank: int) -> widgets.Button:
        cell = widgets.Button(description=f"{rank:,}", tooltip=strategy, layout=CELL).add_class("hs-cell")
        if rank <= NEAR:
            cell.add_class("hs-first" if rank == 1 else "hs-near")
        cell.on_click(lambda _: self._choose(strategy))
        return cell


def _number(layer: str) -> widgets.Label:
    return widgets.Label(layer, layout=CELL).add_class("hs-number")


def curves(ranks: pd.DataFrame) -> str:
    """The ranks over the layers as an SVG: a line per pooling, named at its end; rank 1 above, by logarithm."""
    lowest = log10(max(2, int(ranks.to_numpy().max())))
    lines = [_curve(ranks.loc[pool], lowest, DASHES[i % len(DASHES)]) for i, pool in enumerate(ranks.index)]
    marks = {f"{rank:,}": _height(rank, lowest) for rank in (10**k for k in range(int(lowest) + 1))}
    axis = [_text(NAMES - 14, height, name, "end") for name, height in marks.items()]
    end = NAMES + COLUMN * (len(ranks.columns) - 0.5) + 8
    names = [_text(end, height, name, "start") for name, height in _names(ranks[ranks.columns[-1]], lowest).items()]
    size = f'width="{end + END:.0f}" height="{HEIGHT + 2 * EDGE}"'
    drawn = "".join([*axis, *lines, *names])
    return f'<svg class="hs-curves" role="img" aria-label="rank over layers" {size}>{drawn}</svg>'


def _names(last: pd.Series, lowest: float) -> dict[str, float]:
    """The poolings by the height at which their lines end; those that end side by side in one name."""
    found: dict[int, list[str]] = {}
    heights = {str(pool): _height(rank, lowest) for pool, rank in last.sort_values(kind="stable").items()}
    for pool, height in heights.items():
        found.setdefault(next((top for top in found if height - top < LETTERS), int(height)), []).append(pool)
    return {", ".join(pools): top for top, pools in found.items()}


def _curve(ranks: pd.Series, lowest: float, dashes: str) -> str:
    points = ((NAMES + COLUMN * (place + 0.5), _height(rank, lowest)) for place, rank in enumerate(ranks))
    line = " ".join(f"{x:.0f},{y:.1f}" for x, y in points)
    return f'<polyline points="{line}" stroke-dasharray="{dashes}"/>'


def _text(x: float, height: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{height + 4:.0f}" text-anchor="{anchor}">{escape(text)}</text>'


def _height(rank: int, lowest: float) -> float:
    return EDGE + HEIGHT * log10(rank) / lowest

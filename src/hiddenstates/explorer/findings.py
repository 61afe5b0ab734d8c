"""What a question finds, below the controls: the ranking, and what opens beside it."""

import time
from collections.abc import Callable

import ipywidgets as widgets
import pandas as pd

from hiddenstates.core.errors import LabError
from hiddenstates.explorer import page
from hiddenstates.explorer.grid import QuestionGrid
from hiddenstates.explorer.map import QuestionMap, mapped
from hiddenstates.explorer.ranking import Ranking
from hiddenstates.explorer.search import Explorer, Question
from hiddenstates.explorer.shading import shaded
from hiddenstates.explorer.spots import spots_of
from hiddenstates.explorer.state import MOST, SHOWN
from hiddenstates.explorer.systems import System
from hiddenstates.explorer.why import explain

MORE = widgets.Layout(width="auto", align_self="center")


class Findings:
    """The grid, the map, the ranking with its rows that open, and a button that shows more of it.

    open:   is called when a row of the ranking is to be opened or closed
    choose: takes the strategy of a cell of the grid that is clicked
    shown:  so many passages
    """

    def __init__(self, explorer: Explorer, open: Callable[[], None], choose: Callable[[str], None]) -> None:
        self._explorer = explorer
        self.grid, self.map, self.ranking = QuestionGrid(choose), QuestionMap(), Ranking(open)
        self.told, self.shown = widgets.HTML(), SHOWN
        self.more = widgets.Button(description=f"{SHOWN} more", layout=MORE)
        self._asked: tuple[Question, System] | None = None
        self._found = pd.DataFrame()
        self.panels = [widgets.HBox([self.grid.shown, self.map.shown]), *self.grid.rows, self.map.drawn]
        self.rows = [self.told, self.ranking.box, self.more]

    def clear(self) -> None:
        """Nothing is found."""
        self._asked, self.told.value, self.map.drawn.value, self.more.layout.display = None, "", "", "none"
        self.ranking.clear()

    def rank(self, question: Question, system: System, against: System) -> None:
        """Rank, and let what is open follow. LabError as of `Explorer.rank`."""
        start, passages = time.perf_counter(), len(self._explorer.states.ids)
        self._found = self._explorer.rank(question, system, against, self.shown)
        seconds = time.perf_counter() - start
        self._asked = question, system
        self.told.value = page.told(self._found, passages, seconds, str(against))
        self.ranking.show(self._found, self._explorer.task.kb.images if self._explorer.pictures else None)
        self.more.layout.display = None if self.shown < min(passages, MOST) else "none"
        self.explain()
        self.draw_map()

    def widen(self) -> None:
        """From the next ranking on, so many passages more."""
        self.shown = min(self.shown + SHOWN, MOST)

    def explain(self) -> None:
        """Say why the passage that is open stands where it stands."""
        asked, passage, html = self._asked, self.ranking.opened, ""
        if asked and passage:
            html = _or_why_not(lambda: shaded(explain(self._explorer, *asked, passage)))
        self.ranking.explain(html)

    def draw_map(self) -> None:
        """Open the map of the strategy, or close it."""
        asked, html = self._asked, ""
        if asked and self.map.shown.value:
            html = _or_why_not(lambda: mapped(spots_of(self._explorer, *asked, self._found)))
        self.map.drawn.value = html

    def compare_states(self, question: Question) -> None:
        """Open the grid of the question, or close it."""
        if self.grid.shown.value:
            self.grid.show(self._explorer.ranks(question))
        else:
            self.grid.hide()


def _or_why_not(drawn: Callable[[], str]) -> str:
    """A panel; in its place a sentence where there is nothing to show."""
    try:
        return drawn()
    except LabError as error:
        return page.unfound(str(error))

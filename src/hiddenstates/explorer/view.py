"""The explorer as widgets for a notebook: whatever is changed, the ranking follows."""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import ipywidgets as widgets

from hiddenstates.core.errors import LabError
from hiddenstates.explorer import page
from hiddenstates.explorer.controls import NAMED, WIDE, QuestionControls, StrategyControls
from hiddenstates.explorer.examples import example_images, example_questions
from hiddenstates.explorer.grid import QuestionGrid
from hiddenstates.explorer.search import Explorer


class ExplorerView:
    """The controls of an explorer and, below them, what they find. A mistake is told in one sentence.

    box: what a notebook shows
    """

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        images = example_images(explorer.task) if explorer.pictures else {}
        self.question = QuestionControls(example_questions(explorer.task), images)
        self.strategy = StrategyControls(
            explorer.states.state_map, list(explorer.states.values), explorer.default, explorer.ready
        )
        self.message, self.told, self.ranking = (widgets.HTML() for _ in range(3))
        self.grid = QuestionGrid(self._choose)
        rows = [*self.question.rows, *self.strategy.rows, *self.grid.rows, self.message, self.told, self.ranking]
        self.box = widgets.VBox([widgets.HTML(page.STYLE), *rows]).add_class("hs-explorer")
        for control in (self.grid.shown, self.question.text, self.question.image):
            control.observe(self._then(self.compare_states), "value")
        for control in (*self.question.inputs, self.strategy.typed, self.strategy.against):
            control.observe(self._then(self.rank), "value")
        for control in self.strategy.inputs:
            control.observe(self._then(self.write), "value")
        self.strategy.ready.observe(self._then(self.strategy.take), "value")
        self.question.example.observe(self._then(self.question.follow_example), "value")
        self.question.upload.observe(self._then(self.question.take_upload), "value")
        self._then(self.rank)()

    def rank(self) -> None:
        """Rank by what the controls say now. LabError, and no ranking, where they say nothing that can be ranked by."""
        self.told.value = self.ranking.value = ""
        start, task = time.perf_counter(), self.explorer.task
        system, against = self.strategy.system(), self.strategy.compared()
        found = self.explorer.rank(self.question.question(), system, against)
        seconds = time.perf_counter() - start
        self.told.value = page.told(found, len(task.kb.ids), seconds, str(against))
        self.ranking.value = page.ranking(found, task.kb.images)

    def compare_states(self) -> None:
        """Open the grid of the question, or close it."""
        self.grid.hide()
        if self.grid.shown.value:
            self.grid.show(self.explorer.ranks(self.question.question()))

    def _choose(self, strategy: str) -> None:
        self.strategy.typed.value = strategy

    def write(self) -> None:
        """The buttons were changed, by a hand: what they say is the strategy."""
        if not self.strategy.following:
            self.strategy.write()

    def _then(self, action: Callable[[], None]) -> Callable[..., None]:
        """The action as an answer to a change: what it refuses is told, never raised."""

        def answer(change: Any = None) -> None:
            try:
                self.message.value = ""
                action()
            except LabError as error:
                self.message.value = page.message(str(error))

        return answer


class EncoderView:
    """An explorer of one of several encoders, and which of them.

    encoders: their names; opened: the explorer of one of them
    """

    def __init__(self, encoders: Sequence[str], opened: Callable[[str], Explorer]) -> None:
        self.opened = lru_cache(None)(opened)
        self.encoder = widgets.Dropdown(options=encoders, description="encoder", layout=WIDE, style=NAMED)
        self.place, self.message = widgets.VBox(), widgets.HTML()
        above = [self.encoder] if len(encoders) > 1 else []
        self.box = widgets.VBox([*above, self.message, self.place])
        self.encoder.observe(self.show, "value")
        self.show()

    def show(self, change: Any = None) -> None:
        """The explorer of the encoder that is chosen; where it cannot be opened, why."""
        try:
            self.place.children = [ExplorerView(self.opened(self.encoder.value)).box]
            self.message.value = ""
        except LabError as error:
            self.place.children = []
            self.message.value = page.message(str(error))


def explore(encoders: Sequence[str], opened: Callable[[str], Explorer]) -> widgets.VBox:
    """The explorer of any of these encoders, the first one first, to be shown as the last line of a notebook's cell."""
    return EncoderView(encoders, opened).box

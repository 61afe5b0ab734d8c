"""The explorer as widgets for a notebook: whatever is changed, the ranking follows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as widgets

from hiddenstates.core.errors import LabError
from hiddenstates.explorer import page
from hiddenstates.explorer.answering import tried
from hiddenstates.explorer.controls import NAMED, WIDE, QuestionControls, StrategyControls
from hiddenstates.explorer.examples import example_images, example_questions
from hiddenstates.explorer.findings import Findings
from hiddenstates.explorer.search import Explorer, Question
from hiddenstates.explorer.state import VERSION, PageState, Panel
from hiddenstates.explorer.systems import read_system


def nowhere(state: PageState) -> None:
    """Where a page of another encoder goes if there is none."""
    raise LabError(f"state: it is of the encoder {state.encoder!r}, which is not here. Correct the name.")


class ExplorerView:
    """The controls of an explorer and, below them, what they find. A mistake is told in one sentence.

    name:      of the encoder
    elsewhere: shows the page of another encoder
    box:       what a notebook shows
    """

    def __init__(self, explorer: Explorer, name: str = "", elsewhere: Callable[[PageState], None] = nowhere) -> None:
        self.explorer, self.name, self._elsewhere = explorer, name, elsewhere
        images = example_images(explorer.task) if explorer.pictures else {}
        self.question = QuestionControls(example_questions(explorer.task), images)
        self.strategy = StrategyControls(
            explorer.states.state_map, list(explorer.states.values), explorer.default, explorer.ready
        )
        self.findings = Findings(explorer, self._then(self.explain), self._choose)
        self.state = widgets.Text(description="state", continuous_update=False, layout=WIDE, style=NAMED)
        self.message, self.refused = widgets.HTML(), widgets.HTML()
        rows = [*self.question.rows, *self.strategy.rows, *self.findings.panels, self.message, *self.findings.rows]
        rows += [self.state, self.refused]
        self.box = widgets.VBox([widgets.HTML(page.STYLE), *rows]).add_class("hs-explorer")
        self._quiet = False
        self._observe()
        self._then(self.rank)()

    def _observe(self) -> None:
        for control in (self.findings.grid.shown, self.question.text, self.question.image):
            control.observe(self._then(self.compare_states), "value")
        for control in (*self.question.inputs, self.strategy.typed, self.strategy.against):
            control.observe(self._then(self.rank), "value")
        for control in self.strategy.inputs:
            control.observe(self._then(self.write), "value")
        self.strategy.ready.observe(self._then(self.strategy.take), "value")
        self.question.example.observe(self._then(self.take_example), "value")
        self.question.upload.observe(self._then(self.question.take_upload), "value")
        self.findings.map.shown.observe(self._then(self.findings.draw_map), "value")
        self.findings.more.on_click(self._then(self.show_more))
        self.state.observe(self._then(self.take_state, self.refused), "value")

    def rank(self) -> None:
        """Rank by what the controls say now. LabError, and no ranking, where they say nothing that can be ranked by."""
        self.findings.clear()
        system, against = self.strategy.system(), self.strategy.compared()
        self.findings.rank(self.question.question(), system, against)

    def compare_states(self) -> None:
        """Open the grid of the question, or close it."""
        self.findings.compare_states(self.question.question())

    def explain(self) -> None:
        """Say why the passage that is open stands where it stands."""
        self.findings.explain()

    def show_more(self) -> None:
        """So many passages more."""
        self.findings.widen()
        self.rank()

    def write(self) -> None:
        """The buttons were changed, by a hand: what they say is the strategy."""
        if not self.strategy.following:
            self.strategy.write()

    def take_example(self) -> None:
        """Ask what the example asks."""
        with self._quietly():
            self.question.follow_example()
        self.rank()
        self.compare_states()

    def take_state(self) -> None:
        """Show what the line says. LabError, and no change, where it says what this page cannot show."""
        if self.state.value != self.present().line():
            state = PageState.parse(self.state.value)
            self.restore(state) if state.encoder == self.name else self._elsewhere(state)

    def present(self) -> PageState:
        """What is shown now."""
        question = self.question.question()
        found = self.findings
        panels: dict[Panel, bool] = {"grid": found.grid.shown.value, "map": found.map.shown.value}
        return PageState(
            explorer=VERSION,
            encoder=self.name,
            question=question.text,
            image=self.question.image.label if question.image else "",
            weight=round(question.weight, 2) if question.image else Question("").weight,
            strategy=self.strategy.typed.value,
            against=self.strategy.against.value,
            shown=found.shown,
            open=[name for name, shown in panels.items() if shown],
            why=found.ranking.opened,
        )

    def restore(self, state: PageState) -> None:
        """Show this, of this encoder. LabError, and no change, where it cannot be ranked."""
        asked = Question(state.question, self.question.image_called(state.image), state.weight)
        system, against = (read_system(text, len(self.strategy.layers)) for text in (state.strategy, state.against))
        found = self.explorer.rank(asked, system, against, state.shown)
        if state.why and state.why not in found.index:
            raise LabError(
                f"state: the passage {state.why!r} of `why` is not among those shown. Correct it, or leave it out."
            )
        with self._quietly():
            self.question.take(asked)
            self.strategy.typed.value, self.strategy.against.value = state.strategy, state.against
            self.findings.grid.shown.value = "grid" in state.open
            self.findings.map.shown.value = "map" in state.open
        self.findings.shown, self.findings.ranking.opened = state.shown, state.why
        self.rank()
        self.compare_states()
        self._repeat()

    def _choose(self, strategy: str) -> None:
        self.strategy.typed.value = strategy

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Several controls are set, which is one change."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    def _repeat(self) -> None:
        """Let the controls follow that only repeat what the others say: the example and the line."""
        with self._quietly():
            self.question.name_example()
            self.state.value = self.present().line()

    def _then(self, action: Callable[[], None], told: widgets.HTML | None = None) -> Callable[..., None]:
        """The action as an answer to a change. told: where what it refuses is told; None is above the ranking"""

        def answer(change: Any = None) -> None:
            if not self._quiet:
                self.message.value = self.refused.value = ""
                tried(action, told or self.message)
                self._repeat()

        return answer

"""The passages that were found as widgets: a row each, with a button that says why it stands there."""

from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
import pandas as pd

from hiddenstates.explorer import page

ASK, CLOSE = "why?", "close"
SMALL = widgets.Layout(width="56px", height="26px", margin="4px 0 0 6px", padding="0", flex="none")
WHOLE = widgets.Layout(width="100%", margin="0")
ROW = widgets.Layout(width="100%", overflow="hidden")


class Ranking:
    """A heading, the rows, and below one of them, if it is asked for, why it stands there.

    ask: is called when a row is opened or closed; `opened` is the id of its passage, "" where none is open
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self.opened = ""
        self.heading, self.rows = widgets.HTML().add_class("hs-heading"), list[_Row]()
        self.box = widgets.VBox()

    def clear(self) -> None:
        """No passages."""
        self.box.children = ()

    def show(self, table: pd.DataFrame, images: Path | None) -> None:
        """The table that `Explorer.rank` gives; images as in `page.row`. What is open stays open."""
        while len(self.rows) < len(table):
            self.rows.append(_Row(self._toggle))
        self.heading.value = page.headings(images is not None)
        for row, found in zip(self.rows, table.itertuples(), strict=False):
            row.show(str(found.Index), page.row(found, images))
        if self.opened not in table.index:
            self.opened = ""
        self.box.children = [self.heading, *(row.box for row in self.rows[: len(table)])]

    def explain(self, html: str) -> None:
        """Why the passage of the row that is open stands there; of all others nothing."""
        for row in self.rows:
            row.explain(html if row.passage == self.opened else "")

    def _toggle(self, passage: str) -> None:
        self.opened = "" if passage == self.opened else passage
        self._ask()


class _Row:
    """A passage."""

    def __init__(self, toggle: Callable[[str], None]) -> None:
        self.passage = ""
        self.found, self.why = widgets.HTML(layout=WHOLE), widgets.HTML(layout=WHOLE)
        self.button = widgets.Button(description=ASK, layout=SMALL).add_class("hs-ask")
        self.button.on_click(lambda _: toggle(self.passage))
        line = widgets.HBox([self.found, self.button], layout=ROW)
        self.box = widgets.VBox([line, self.why], layout=ROW)

    def show(self, passage: str, html: str) -> None:
        self.passage, self.found.value = passage, html
        self.button.tooltip = f"what each word adds to the score of {passage}"

    def explain(self, html: str) -> None:
        self.why.value, self.button.description = html, CLOSE if html else ASK

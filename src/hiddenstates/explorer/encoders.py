"""The explorer of any of several encoders: what a notebook shows."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import ipywidgets as widgets

from hiddenstates.explorer.answering import tried
from hiddenstates.explorer.controls import NAMED, WIDE
from hiddenstates.explorer.search import Explorer
from hiddenstates.explorer.state import PageState
from hiddenstates.explorer.view import ExplorerView, nowhere


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
        self.encoder.observe(self._follow, "value")
        self._follow()

    def show(self) -> None:
        """The explorer of the encoder that is chosen. LabError, and an empty place, where it cannot be opened."""
        self.place.children = []
        self.place.children = [self._view(self.encoder.value).box]

    def restore(self, state: PageState) -> None:
        """The page of this state, which is of another encoder. LabError, and no change, where it cannot be shown."""
        if state.encoder not in self.encoder.options:
            nowhere(state)
        view = self._view(state.encoder)
        view.restore(state)
        self.encoder.unobserve(self._follow, "value")
        self.encoder.value = state.encoder
        self.encoder.observe(self._follow, "value")
        self.place.children = [view.box]

    def _view(self, encoder: str) -> ExplorerView:
        return ExplorerView(self.opened(encoder), encoder, self.restore)

    def _follow(self, change: Any = None) -> None:
        tried(self.show, self.message)


def explore(encoders: Sequence[str], opened: Callable[[str], Explorer]) -> widgets.VBox:
    """The explorer of any of these encoders, the first one first, to be shown as the last line of a notebook's cell."""
    return EncoderView(encoders, opened).box

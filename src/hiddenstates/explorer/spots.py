"""What a question's map shows, from an explorer."""

from collections.abc import Sequence

import pandas as pd

from hiddenstates.core.errors import LabError
from hiddenstates.explorer.map import COLOURS, Spots
from hiddenstates.explorer.search import Explorer, Question
from hiddenstates.explorer.systems import System, vector_of

MARKED = 10
LETTERS = 48


def spots_of(explorer: Explorer, question: Question, system: System, found: pd.DataFrame) -> Spots:
    """found: the table that `Explorer.rank` gave. LabError where the system has no vectors, or they do not differ"""
    strategy = vector_of(system)
    if strategy is None:
        raise LabError("map: words alone have no vectors. Choose a strategy that has layers.")
    plane, first = explorer.plane(strategy), found.head(MARKED)
    drawn = explorer.passages(plane.rows)
    grouped, groups = _groups(drawn)
    titles = [f"{name}{' ✓' * right}" for name, right in zip(_names(first), first["right"], strict=True)]
    return Spots(
        plane,
        _names(drawn),
        groups,
        grouped,
        plane.project(explorer.asked(question, strategy)),
        plane.project(explorer.vectors(strategy, list(first.index))),
        titles,
        len(explorer.states.ids),
        str(strategy),
    )


def _names(passages: pd.DataFrame) -> list[str]:
    """Titles, made short; of a passage without one the start of its text."""
    whole = (t or x for t, x in zip(passages["title"], passages["text"], strict=True))
    return [name if len(name) <= LETTERS else f"{name[: LETTERS - 1].rstrip()}…" for name in whole]


def _groups(passages: pd.DataFrame) -> tuple[str, Sequence[str]]:
    """The topics, where there are several; else the entities, if there is a colour for each."""
    for column, most in (("topic", len(passages)), ("entity", len(COLOURS))):
        if 2 <= passages[column].replace("", pd.NA).nunique() <= most:
            return column, list(passages[column])
    return "", [""] * len(passages)

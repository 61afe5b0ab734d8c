"""Small Markdown tables: what stands below the first sentence of a verdict."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from hiddenstates.report.estimates import difference, written


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a bar within a cell stays a bar."""
    lines = [list(map(str, headings)), ["---"] * len(headings), *(list(map(str, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def beside(scores: Mapping[str, pd.DataFrame], gains: Mapping[str, pd.DataFrame], what: str) -> str:
    """A row per system; per group its score with its interval, then its difference to the one compared with.

    scores: by group, a row per system, `estimate`'s columns; gains: by group, `corrected`'s rows, none for the system
    that all are compared with, which has a dash; what: the systems are
    """
    systems = list(dict.fromkeys(str(name) for part in scores.values() for name in part.index))
    headings = [what, *(heading for group in scores for heading in (group, "difference"))]
    cells = {group: _cells(part, gains[group]) for group, part in scores.items()}
    return table(headings, ([name, *(cell for group in scores for cell in cells[group][name])] for name in systems))


def _cells(scores: pd.DataFrame, gains: pd.DataFrame) -> dict[str, tuple[str, str]]:
    told = gains.to_dict("index")
    return {str(name): (written(row), _told(told.get(name))) for name, row in scores.to_dict("index").items()}


def _told(row: Mapping[Any, Any] | None) -> str:
    return "–" if row is None else f"{difference(row)}, {row['verdict']}"

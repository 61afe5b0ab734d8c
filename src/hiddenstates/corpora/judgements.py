"""Judgements as trec_eval and BEIR's evaluator take them; what is left out, or taken otherwise, is counted and said."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hiddenstates.core.data import Row
from hiddenstates.core.errors import LabError

Grades = dict[str, dict[str, float]]


class Judgement(NamedTuple):
    """A line of a qrels file. where: its file and line"""

    where: str
    query: str
    passage: str
    grade: float


class Asked(NamedTuple):
    """A query, and where it stands in its source."""

    where: str
    text: str


@dataclass
class _Tally:
    """How many judgements were of each kind, and where the first one stands."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, where: str) -> None:
        self.found.setdefault(kind, []).append(where)

    def notes(self) -> tuple[str, ...]:
        return tuple(f"{places[0]}: the first of {len(places)} {kind}." for kind, places in self.found.items())


LOST_QUERY = "judgements of queries that do not exist; they are left out"
LOST_PASSAGE = (
    "judgements of passages that do not exist; they are left out, whereas trec_eval counts those above 0 as never found"
)
NEGATIVE = "negative grades, which are not relevant, as in trec_eval"
AGAIN = "judgements of a pair that is judged otherwise before; the last one counts, as in BEIR"


def settled(
    judgements: Iterable[Judgement], queries: Collection[str], passages: Collection[str]
) -> tuple[Grades, tuple[str, ...]]:
    """query id -> {passage id: grade}, and a note for each kind of judgement that is not taken as it is written.

    LabError where there are judgements, and not one is of a query and a passage that exist.
    """
    rows: Grades = {}
    tally, lost = _Tally(), None
    for where, query, passage, grade in judgements:
        if query not in queries or passage not in passages:
            lost = lost or Judgement(where, query, passage, grade)
            tally.note(LOST_PASSAGE if query in queries else LOST_QUERY, where)
            continue
        if grade < 0:
            tally.note(NEGATIVE, where)
        row, kept = rows.setdefault(query, {}), max(grade, 0.0)
        if row.get(passage, kept) != kept:
            tally.note(AGAIN, where)
        row[passage] = kept
    if lost and not rows:
        raise LabError(
            f"{lost.where}: no judgement is of a query and a passage that exist, this one of {lost.query!r} and "
            f"{lost.passage!r}. Check the ids."
        )
    return rows, tally.notes()


def identical(queries: Mapping[str, Asked], passages: Iterable[Row], grades: Grades) -> tuple[bool, tuple[str, ...]]:
    """Are queries passages themselves, under the same ids? And a note where ids coincide.

    So it is in ArguAna and Quora, where BEIR's evaluator ignores a passage under the query's own id. That evaluator
    goes by ids alone; but two that are numbered from 1 on have nothing to do with each other (Cranfield). So most of
    these texts must be the same too, but for case and punctuation, and none may be judged relevant to itself.

    passages: those under the id of a query, with id, title and text
    """
    both = {row["id"]: _same(queries[row["id"]].text, row) for row in passages}
    if not both:
        return False, ()
    judged = any(grades.get(id, {}).get(id, 0) > 0 for id in both)
    first = f"{queries[next(iter(both))].where}: the first of {len(both)} queries"
    same = 2 * sum(both.values()) > len(both)
    if same and not judged:
        return True, (f"{first} that are passages themselves, under the same id; no query finds itself, as in BEIR.",)
    why = "which some judge relevant" if same else "which has another text"
    return False, (f"{first} under the id of a passage, {why}; all passages are searched, whereas BEIR ignores those.",)


def _same(query: str, passage: Row) -> bool:
    return _words(query) in (_words(passage["text"]), _words(f"{passage['title']} {passage['text']}"))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())

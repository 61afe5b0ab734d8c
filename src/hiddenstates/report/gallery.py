"""A few questions in full: the image shown, the question, and what a system put first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hiddenstates.core.data import Row, Task
from hiddenstates.core.relevance import Run


@dataclass(frozen=True)
class Found:
    """A passage that was found. image: its own, where it has one"""

    title: str
    text: str
    image: Path | None
    right: bool


@dataclass(frozen=True)
class Case:
    """A question and the first passages of its answer. rank: of the first right one, None where there is none."""

    question: str
    image: Path
    found: list[Found]
    rank: int | None


def pick(values: pd.Series, n: int) -> list[str]:
    """About n queries, half of them at the measure's best value, half at 0; evenly from all that there are."""
    right, wrong = (list(values.index[values == value]) for value in (values.max(), 0.0))
    return [*_evenly(right, -(-n // 2)), *(_evenly(wrong, n // 2) if values.max() else [])]


def cases(run: Run, task: Task, queries: Sequence[str], top: int) -> list[Case]:
    """These questions of the task with the `top` best passages of the run."""
    asked = {row["id"]: row for row in task.queries}
    passages = task.kb.rows({passage for query in queries for passage in run[query]})
    made = []
    for query in queries:
        ranked = sorted(run[query], key=lambda passage: -run[query][passage])
        right = {passage for passage, grade in task.qrels[query].items() if grade > 0}
        rank = next((i for i, passage in enumerate(ranked, 1) if passage in right), None)
        found = [_found(task, passages[passage], passage in right) for passage in ranked[:top]]
        made.append(Case(asked[query]["text"], task.kb.images / asked[query]["image"], found, rank))
    return made


def _found(task: Task, row: Row, right: bool) -> Found:
    return Found(row["title"], row["text"], task.kb.images / row["image"] if row["image"] else None, right)


def _evenly(names: Sequence[str], n: int) -> list[str]:
    """n of them at equal distances, in their order; all where there are fewer."""
    n = min(n, len(names))
    return [names[i * len(names) // n] for i in range(n)]

"""One measure, group of questions by group of questions: what was seen in training and what was not, view by view."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Run
from hiddenstates.report.estimates import estimate, written
from hiddenstates.retrieval.measures import evaluate

LEAST = 30
"""Queries; a view with fewer says too little to get a row."""


def by_split_and_view(task: Task, splits: Sequence[str]) -> dict[str, list[str]]:
    """The queries of each of these splits that has any, and of each of its views that has at least `LEAST`."""
    table = task.queries.to_pandas()
    groups: dict[str, list[str]] = {}
    for split in splits:
        rows = table[table["split"] == split]
        views = {f"{split}, view {view}": list(part["id"]) for view, part in rows.groupby("view")}
        groups |= {split: list(rows["id"])} | {name: ids for name, ids in views.items() if len(ids) >= LEAST}
    return {name: queries for name, queries in groups.items() if queries}


def by_group(
    runs: Mapping[str, Run], task: Task, groups: Mapping[str, Sequence[str]], measure: str, seed: int
) -> dict[str, pd.DataFrame]:
    """By group, a row for each run that has an answer to all of its questions: columns n, value, low, high (95%)."""
    if not groups:  # the measure of a task without such questions may be another kind
        return {}
    tables = {}
    values = {name: evaluate(run, task.qrels, [measure])[measure] for name, run in runs.items()}
    for group, queries in groups.items():
        clusters = _part(task, queries).clusters()
        answering = [name for name, run in runs.items() if set(run) >= set(queries)]
        rows = {name: estimate(values[name][list(queries)], clusters, seed) for name in answering}
        tables[group] = pd.DataFrame.from_dict(rows, orient="index").astype({"n": int})
    return tables


def side_by_side(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`by_group`'s tables as one to read: a column a group, with its number of questions, a row a system."""
    columns = {
        f"{group} (n = {table['n'].iloc[0]})": {name: written(row) for name, row in table.to_dict("index").items()}
        for group, table in tables.items()
    }
    return pd.DataFrame(columns).fillna("")


def _part(task: Task, queries: Sequence[str]) -> Task:
    """The task with only these queries, in this order."""
    place = {query: i for i, query in enumerate(task.queries["id"][:])}
    rows = task.queries.select([place[query] for query in queries])
    return replace(task, queries=rows, qrels=task.qrels.select(queries))

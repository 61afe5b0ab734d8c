"""Systems side by side on queries that took no part in choosing: means, intervals, paired tests."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Run
from hiddenstates.report.estimates import corrected, told
from hiddenstates.report.significance import BETTER, MARGIN, Comparison, compare, compare_correlations
from hiddenstates.retrieval.measures import correlate, evaluate


def means(runs: Mapping[str, Run], task: Task, measures: Sequence[str]) -> pd.DataFrame:
    """One row per system, columns (set, measure): the mean over the queries of the set."""
    rows = {name: _scores(run, task, measures) for name, run in runs.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=("set", "measure"), index="system")


def paired(
    runs: Mapping[str, Run], baseline: str, task: Task, measure: str, seed: int, margin: float = MARGIN
) -> pd.DataFrame:
    """Each system against the baseline on each query set: one row (set, system).

    Columns as `corrected` has them, its correction over all the rows.
    """
    rows = {}
    for name in task.sets:
        part = task.select(set=name)
        for system in (s for s in runs if s != baseline):
            rows[name, system] = _compared(runs[system], runs[baseline], part, measure, seed)
    return corrected(rows, margin).rename_axis(("set", "system"))


def confirm(
    chosen: Mapping[str, Run], default: Run, task: Task, measure: str, seed: int, margin: float = MARGIN
) -> pd.DataFrame:
    """What each query set chose against the default, on that set: `paired`'s columns, one row per set, by Holm."""
    rows = {name: _compared(run, default, task.select(set=name), measure, seed) for name, run in chosen.items()}
    return corrected(rows, margin).rename_axis("set")


def pooled(
    runs: Mapping[str, Run], baseline: str, task: Task, measure: str, seed: int, margin: float = MARGIN
) -> pd.DataFrame:
    """Each system against the baseline on all the queries together: `paired`'s columns, one row per system."""
    others = {name: run for name, run in runs.items() if name != baseline}
    rows = {name: _compared(run, runs[baseline], task, measure, seed) for name, run in others.items()}
    return corrected(rows, margin).rename_axis("system")


def _scores(run: Run, task: Task, measures: Sequence[str]) -> dict[tuple[str, str], float]:
    """The mean of each measure over the queries of each set; for similarity, the two correlations."""
    scores: dict[tuple[str, str], float] = {}
    for name in task.sets:
        qrels = task.select(set=name).qrels
        values = correlate(run, qrels) if task.measure == "similarity" else dict(evaluate(run, qrels, measures).mean())
        scores |= {(name, measure): float(value) for measure, value in values.items()}
    return scores


def _compared(first: Run, second: Run, part: Task, measure: str, seed: int) -> Comparison:
    if part.measure == "similarity":
        pairs = [(query, passage) for query, row in part.qrels.rows.items() for passage in row]
        scores = [np.array([source[q][p] for q, p in pairs]) for source in (first, second, part.qrels)]
        return compare_correlations(scores[0], scores[1], scores[2], seed)
    ours, theirs = (evaluate(run, part.qrels, [measure])[measure] for run in (first, second))
    return compare(ours, theirs, part.clusters(), seed)


def with_dashes(table: pd.DataFrame, systems: Collection[str], sets: Collection[str]) -> pd.DataFrame:
    """`means`' table to be read, a row per (set, measure), rounded; a dash where a system adds nothing of its own.

    systems, sets: of these systems only what they score on these sets is their own
    """
    shown = table.round(3).astype(object)
    other = ~table.columns.get_level_values("set").isin(list(sets))
    shown.loc[[system for system in table.index if system in systems], other] = "–"
    return shown.T


def over_sets(table: pd.DataFrame, measure: str) -> dict[str, float]:
    """Of `means`' table: each system's mean of the measure over the query sets, each set weighing the same."""
    scores: pd.DataFrame = table.xs(measure, axis=1, level="measure")  # type: ignore[assignment]
    return {str(system): float(score) for system, score in scores.mean(axis=1).items()}


def nested(table: pd.DataFrame) -> dict[str, Any]:
    """A table with columns (set, measure) as nested mappings, for JSON: row, set, measure."""
    return {
        str(row): {name: dict(part.droplevel(0)) for name, part in values.groupby(level=0)}
        for row, values in table.iterrows()
    }


def against(gains: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """`paired`'s table as nested mappings, for JSON: set, system, column."""
    rows: dict[str, dict[str, Any]] = {name: {} for name in gains.index.unique("set")}
    for (name, system), row in zip(gains.index, gains.to_dict("records"), strict=True):
        rows[name][system] = row
    return rows


def verdict(gains: pd.DataFrame, system: str, default: str) -> str:
    """A paragraph of Markdown: on which sets a system beats the default, on which it loses, and where neither.

    gains: one row per set, `paired`'s columns
    """
    if not gains["difference"].any():
        return f"It is the default itself, or ranks as the default does: nothing beats {default}."
    keep = "" if (gains["verdict"] == BETTER).any() else f" Nothing beats the default: keep {default}."
    return f"On test, {system} against {default}: {told(gains)}.{keep}"


def write_runs(runs: Mapping[str, Run], task: Task, folder: Path) -> None:
    """<system>.run for each, and qrels.trec beside them: what any TREC tool needs to score them again."""
    folder.mkdir(parents=True, exist_ok=True)
    task.qrels.write(folder / "qrels.trec")
    for system, run in runs.items():
        run.write(folder / f"{system}.run", tag=system)

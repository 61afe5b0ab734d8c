"""Every strategy scored from the same pooled states, and the best one chosen."""

from collections.abc import Iterable, Sequence

import pandas as pd
from tqdm import tqdm

from hiddenstates.core.choice import Choice
from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.states import TaskStates
from hiddenstates.retrieval.measures import correlate, evaluate
from hiddenstates.retrieval.search import search


def grid(n_states: int, poolings: Iterable[str], last: int) -> list[Strategy]:
    """Each layer, and the sum and the concatenation of the last so many, under each pooling."""
    final = tuple(range(max(0, n_states - last), n_states))
    singles = [((i,), "single") for i in range(n_states)]
    layers: list[tuple[tuple[int, ...], str]] = [*singles, (final, "sum"), (final, "concat")]
    return [Strategy(chosen, combine, pool) for pool in poolings for chosen, combine in layers]


def sweep(
    states: TaskStates, task: Task, strategies: Sequence[Strategy], measures: Sequence[str], depth: int
) -> pd.DataFrame:
    """The mean of each measure on each query set: one row a strategy, columns (set, measure)."""
    rows = {}
    for strategy in tqdm(strategies, desc="strategies", leave=False):
        rows[str(strategy)] = score(search(states, task, strategy, depth), task, measures)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=("set", "measure"), index="strategy")


def score(run: Run, task: Task, measures: Sequence[str]) -> dict[tuple[str, str], float]:
    """The mean of each measure over the queries of each set; for similarity, the two correlations."""
    scores: dict[tuple[str, str], float] = {}
    for name in task.sets:
        qrels = task.select(set=name).qrels
        values = correlate(run, qrels) if task.measure == "similarity" else dict(evaluate(run, qrels, measures).mean())
        scores |= {(name, measure): float(value) for measure, value in values.items()}
    return scores


def choose(scores: pd.DataFrame, measure: str, sets: Sequence[str] | None, fingerprint: str) -> Choice:
    """The strategy with the best mean of the measure over the query sets; the earlier in the table, should two tie."""
    if measure not in scores.columns.unique("measure"):
        known = ", ".join(scores.columns.unique("measure"))
        raise LabError(f"strategies.measure: {measure!r} is not among what is reported: {known}. Name one of these.")
    table = scores.xs(measure, axis=1, level="measure")
    unknown = set(sets or ()) - set(table.columns)
    if unknown:
        raise LabError(
            f"strategies.sets: no query set {', '.join(sorted(unknown))}. Known: {', '.join(table.columns)}."
        )
    means = pd.Series(table[list(sets or table.columns)].to_numpy().mean(axis=1), index=table.index)
    best = str(means.idxmax())
    evidence = {"measure": measure, "split": "dev", "score": float(means.max()), "strategies": len(means)}
    return Choice(Strategy.parse(best), fingerprint, evidence)

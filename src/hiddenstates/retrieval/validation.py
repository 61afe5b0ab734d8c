"""Does choosing pay? The procedure of choosing is cross-validated on dev; what it gains there decides.

The best of thousands looks good by luck. So the queries are shared out into folds, whole entities at a time; each fold
is scored by what was chosen without it, and the published embedding is kept unless that gains more than its standard
error. Whatever is tuned is tuned anew without the fold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError

FOLDS = 5

BLOCK = 4096  # strategies whose differences are in memory at once
FEWEST = 6
"""Groups of queries; of fewer no choice is made: they have no pattern of signs that is rarer than 5%."""

Rows = Bool[np.ndarray, " query"]
Values = Float64[np.ndarray, " query"]


@dataclass(frozen=True)
class Proposal:
    """What a procedure chose, and the measure of every dev query under it."""

    name: str
    values: Values


Procedure = Callable[[Rows], Proposal]
"""Chooses by the queries of these rows alone."""


@dataclass(frozen=True)
class Validation:
    """What a procedure gains over a baseline, on queries that it has not seen.

    proposal:    what it chooses by all queries
    differences: of each query, what was chosen without it less the baseline
    weights:     of the queries, of sum 1: each query set weighs the same
    error:       the standard error of the gain, queries about one entity drawn together
    picks:       what it chose without each fold
    """

    proposal: Proposal
    differences: Values
    weights: Values
    error: float
    picks: tuple[str, ...]

    @property
    def gain(self) -> float:
        return float(self.weights @ self.differences)

    @property
    def pays(self) -> bool:
        """Is the gain above one standard error? Never, where there were too few groups to tell it by."""
        return bool(self.picks) and self.gain > self.error

    def evidence(self) -> dict[str, object]:
        """For choice.json."""
        picks = {name: self.picks.count(name) for name in dict.fromkeys(self.picks)}
        return {"gain": self.gain, "standard error": self.error, "queries": len(self.differences), "picks": picks}


def cross_validated(
    procedure: Procedure, baseline: Values, task: Task, sets: Sequence[str], seed: int, folds: int = FOLDS
) -> Validation:
    """The procedure, validated on the queries of these sets.

    baseline: each query's measure without choosing; with fewer than `FEWEST` groups nothing is validated
    """
    asked = np.isin(task.queries["set"][:], list(sets))
    weights, groups = equally(task, sets, asked), group_of(task)
    differences, picks = np.zeros(len(baseline)), []
    enough = len(np.unique(groups[asked])) >= FEWEST
    fold_of = shared_out([str(group) for group in groups], seed, folds)
    for left_out in (fold_of == fold for fold in range(folds if enough else 0)):
        if not (asked & left_out).any():
            continue
        chosen = procedure(asked & ~left_out)
        picks.append(chosen.name)
        differences[left_out] = (chosen.values - baseline)[left_out]
    error = clustered_error(differences, weights, groups) if enough else 0.0
    return Validation(procedure(asked), differences, weights, error, tuple(picks))


def shared_out(groups: Sequence[str], seed: int, folds: int) -> Int64[np.ndarray, " query"]:
    """The fold of each query: whole groups, the largest first to where fewest queries are, equals drawn by the seed."""
    codes = _codes(groups)
    sizes = np.bincount(codes)
    drawn = np.random.default_rng(seed).permutation(len(sizes))
    load, fold_of = np.zeros(min(folds, len(sizes)), dtype=int), np.zeros(len(sizes), dtype=int)
    for group in drawn[np.argsort(-sizes[drawn], kind="stable")]:
        fold_of[group] = load.argmin()
        load[fold_of[group]] += sizes[group]
    return fold_of[codes]


def equally(task: Task, sets: Sequence[str], rows: Rows) -> Values:
    """Weights of sum 1 on these rows, under which each query set weighs the same; 0 on others."""
    of, weights = np.array(task.queries["set"][:]), np.zeros(len(rows))
    present = [inside for inside in (rows & (of == name) for name in sets) if inside.any()]
    if not present:
        raise LabError("choosing: no query is left to choose by. Give dev more queries: corpus.shares.")
    for inside in present:
        weights[inside] = 1 / len(present) / inside.sum()
    return weights


def led(
    values: Float[np.ndarray, "strategy query"],
    baseline: Float[np.ndarray, " query"],
    weights: Values,
    groups: Int64[np.ndarray, " query"],
) -> tuple[Float64[np.ndarray, " strategy"], Float64[np.ndarray, " strategy"]]:
    """What each strategy gains over the baseline, and the standard error of that, groups drawn together."""
    used = np.flatnonzero(weights)
    used = used[np.argsort(groups[used], kind="stable")]
    starts = np.flatnonzero(np.diff(groups[used], prepend=-1))
    share = np.add.reduceat(weights[used], starts)
    gains, errors, n = np.empty(len(values)), np.full(len(values), np.inf), len(starts)
    for first in range(0, len(values), BLOCK):
        block = slice(first, first + BLOCK)
        sums = np.add.reduceat((values[block, used] - baseline[used]) * weights[used], starts, axis=1)
        gains[block] = sums.sum(1)
        if n > 1:
            residuals = sums - gains[block, None] * share
            errors[block] = np.sqrt(np.square(residuals).sum(1) * n / (n - 1))
    return gains, errors


def clustered_error(differences: Values, weights: Values, groups: Int64[np.ndarray, " query"]) -> float:
    """The standard error of a weighted mean, whole groups drawn together; infinite where there is but one."""
    residuals = weights * (differences - weights @ differences / weights.sum())
    sums = np.bincount(groups, weights=residuals)
    n = len(np.unique(groups[weights > 0]))
    return float(np.sqrt(sums @ sums * n / (n - 1)) / weights.sum()) if n > 1 else float("inf")


def group_of(task: Task) -> Int64[np.ndarray, " query"]:
    """The number of each query's first group, its entity where it has one."""
    return _codes(next(iter(task.clusters().values())))


def _codes(groups: Sequence[str]) -> Int64[np.ndarray, " query"]:
    return np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)

"""Pairs of strategies joined under every weight of a grid: the rank of every relevant passage, exact.

The cosine of a joined strategy is the weighted mean of its parts' cosines. So each candidate's cosines are computed
once, in float32 over passages from which their mean is taken, and every pair and weight costs one addition for each
passage. Passages that float32 cannot tell from the judged one are scored again in float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import AnyStrategy, join
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.retrieval.ranks.blend import count_blends
from hiddenstates.retrieval.ranks.exact import TIE, count_judged
from hiddenstates.retrieval.ranks.gram import BLOCK_BYTES, CAPACITY, Pairs
from hiddenstates.retrieval.ranks.subsets import ROUNDING
from hiddenstates.retrieval.strategies.sweep import Sweep, by_rank, check_order, from_cosines, judged_pairs

WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Of the first of two strategies; the second has the rest of 1."""

SLACK = 2.0**-22  # of a threshold: what its own rounding may be

Units = Float64[np.ndarray, "item width"]


def sweep_joined(
    states: TaskStates,
    task: Task,
    candidates: Sequence[AnyStrategy],
    measures: Sequence[str],
    whitening: Whitenings | None = None,
    weights: Sequence[float] = WEIGHTS,
    partners: Sequence[tuple[int, int]] | None = None,
) -> Sweep:
    """Score every two candidates joined, under each weight, on the task's queries.

    candidates: strategies, joined ones too; none that is constant
    whitening:  of all of them (`hiddenstates.encoding.embeddings.fitting.fitted_all`)
    partners:   which two, as places among the candidates; None: every two
    """
    check_order(states, task)
    pairs, asked = judged_pairs(task), states.queries.select(task.queries["id"][:])
    grid = _Grid.of(candidates, weights, partners)
    parts = [_Part(strategy, asked, states.passages, whitening) for strategy in candidates]
    if task.measure == "similarity":
        exact = grid.mixed(np.array([part.cosines(pairs.query, pairs.passage) for part in parts]))
        return from_cosines(exact, task, measures, grid.strategies, [])
    ranks = np.concatenate([1 + _above(parts, grid, block, first) for first, block in _blocks(parts, pairs)])
    return by_rank(ranks.T, pairs, task, measures, grid.strategies, [])


@dataclass(frozen=True)
class _Grid:
    """Two candidates and a weight for each joined strategy. first, second: places among the candidates"""

    strategies: list[AnyStrategy]
    first: Int64[np.ndarray, " joined"]
    second: Int64[np.ndarray, " joined"]
    weight: Float64[np.ndarray, " joined"]

    @classmethod
    def of(
        cls, candidates: Sequence[AnyStrategy], weights: Sequence[float], partners: Sequence[tuple[int, int]] | None
    ) -> "_Grid":
        chosen = list(combinations(range(len(candidates)), 2)) if partners is None else partners
        rows = [(i, j, weight) for i, j in chosen for weight in weights]
        if not rows:
            raise LabError("joined strategies: there are no two to join. Give two candidates, and a weight.")
        strategies = [join([(candidates[i], w), (candidates[j], round(1 - w, 6))]) for i, j, w in rows]
        first, second, weight = np.array(rows).T
        return cls(strategies, first.astype(int), second.astype(int), weight)

    def mixed(self, values: Float64[np.ndarray, "candidate item"]) -> Float64[np.ndarray, "joined item"]:
        """Of each joined strategy the weighted mean of its two candidates' values."""
        weight = self.weight[:, None]
        return weight * values[self.first] + (1 - weight) * values[self.second]


@dataclass(frozen=True)
class _Part:
    """One candidate, embedded when it is needed: all of them together would fill the memory."""

    strategy: AnyStrategy
    queries: PooledStates
    passages: PooledStates
    whitening: Whitenings | None

    def units(self, states: PooledStates, rows: np.ndarray) -> Units:
        """The vectors of these items, of length 1, in float64. rows: in ascending order, each once"""
        some = states.needed(self.strategy)
        some = some if len(rows) == len(states.ids) else some.take(rows.tolist())
        vectors = some.embed(self.strategy.unscaled, self.whitening).vectors.astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1.0)

    def cosines(self, query: np.ndarray, passage: np.ndarray) -> Float64[np.ndarray, " pair"]:
        """Of each query with its passage, in float64. query, passage: rows"""
        sides = []
        for states, rows in ((self.queries, query), (self.passages, passage)):
            known, place = np.unique(rows, return_inverse=True)
            sides.append((self.units(states, known), place))
        (asked, i), (found, j) = sides
        halves = np.array_split(np.arange(len(i)), 1 + len(i) // 4096)  # to bound memory
        return np.concatenate([np.vecdot(asked[i[rows]], found[j[rows]]) for rows in halves])

    def scored(
        self, first: int, last: int, query: np.ndarray, passage: np.ndarray
    ) -> tuple[Float32[np.ndarray, "query passage"], Float64[np.ndarray, " pair"], Float64[np.ndarray, " pair"], float]:
        """Of the queries first to last - 1: cosines less those with the mean passage; what the judged pairs' would be,
        their cosines, and a bound of the error."""
        asked = self.units(self.queries, np.arange(first, last))
        found = self.units(self.passages, np.arange(len(self.passages.ids)))
        mean = found.mean(0)
        exact = np.vecdot(asked[query], found[passage])
        found -= mean
        spread = float(np.sqrt(np.vecdot(found, found).max()))
        scores = asked.astype(np.float32) @ found.astype(np.float32).T
        return scores, exact - (asked @ mean)[query], exact, ROUNDING * spread


def _blocks(parts: Sequence[_Part], pairs: Pairs) -> Iterator[tuple[int, Pairs]]:
    """Blocks of queries whose scores under all candidates fit into memory, and the row of the first of each."""
    n_queries, n_passages = len(parts[0].queries.ids), len(parts[0].passages.ids)
    most = max(1, int(BLOCK_BYTES / (4 * len(parts) * n_passages)))
    for first, last in pairwise(np.linspace(0, n_queries, -(-n_queries // most) + 1).astype(int).tolist()):
        yield first, pairs.of(first, last)


def _above(parts: Sequence[_Part], grid: _Grid, pairs: Pairs, first: int) -> Int32[np.ndarray, "pair joined"]:
    """How many passages are above each judged one, of the queries of one block."""
    n_queries = int(pairs.query.max(initial=-1)) + 1
    offsets = np.searchsorted(pairs.query, np.arange(n_queries + 1))
    found = [part.scored(first, first + n_queries, pairs.query, pairs.passage) for part in parts]
    scores = np.stack([row[0] for row in found])
    scores[:, pairs.query, pairs.passage] = -np.inf  # judged ones are compared with one another, below
    targets, exact = (grid.mixed(np.stack([row[i] for row in found])).T for i in (1, 2))
    errors = grid.mixed(np.array([[row[3]] for row in found])).T + SLACK * abs(targets)
    limits = targets - errors, targets + errors
    above, near = _counted(scores, grid, limits, offsets)
    _decide(above, near, parts, grid, exact, first, pairs)
    count_judged(above, np.ascontiguousarray(exact), np.full(exact.shape, TIE), pairs.query, pairs.grade, offsets)
    return above


def _counted(
    scores: Float32[np.ndarray, "candidate query passage"],
    grid: _Grid,
    limits: tuple[Float64[np.ndarray, "pair joined"], Float64[np.ndarray, "pair joined"]],
    offsets: Int64[np.ndarray, " edge"],
) -> tuple[Int32[np.ndarray, "pair joined"], Int32[np.ndarray, "near place"]]:
    """Passages surely above each judged one, and the near ones: joined strategy, pair and passage."""
    low, high = (np.ascontiguousarray(limit, dtype=np.float32) for limit in limits)
    weight, capacity = grid.weight.astype(np.float32), CAPACITY
    while True:
        above, near, found = count_blends(scores, grid.first, grid.second, weight, low, high, offsets, capacity)
        if found.max(initial=0) <= capacity:
            return above, np.concatenate([rows[:n] for rows, n in zip(near, found, strict=True)])
        capacity = int(found.max())


def _decide(
    above: Int32[np.ndarray, "pair joined"],
    near: Int32[np.ndarray, "near place"],
    parts: Sequence[_Part],
    grid: _Grid,
    exact: Float64[np.ndarray, "pair joined"],
    first: int,
    pairs: Pairs,
) -> None:
    """Score the near passages again, in float64, and count those that are above or tied."""
    joined, pair, passage = near.T.astype(np.int64)
    score = np.zeros(len(near))
    for k, part in enumerate(parts):
        for side, weight in ((grid.first, grid.weight), (grid.second, 1 - grid.weight)):
            rows = np.flatnonzero(side[joined] == k)
            if len(rows):
                cosines = part.cosines(first + pairs.query[pair[rows]], passage[rows])
                score[rows] += weight[joined[rows]] * cosines
    reached = score >= exact[pair, joined] - TIE
    np.add.at(above, (pair[reached], joined[reached]), 1)

"""What fusion leaves open, chosen by a measure on judged queries: weights, their normalisation, how many images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.retrieval.fusion.runs import NORMS, Aligned, mixed, normalised
from hiddenstates.retrieval.measures import evaluate, from_ranks

STEPS = 20
"""Weights are tried in twentieths."""

Way = TypeVar("Way")

NEVER = np.iinfo(np.int32).max
"""The rank of what no run holds."""


@dataclass(frozen=True)
class Weighting:
    """How runs are fused. score: of the queries it was chosen on; tried: among how many ways"""

    weights: dict[str, float]
    norm: str
    score: float
    tried: int

    def scores(self, aligned: Aligned) -> Float64[np.ndarray, "query passage"]:
        """The fused scores of runs that are aligned in the order of the weights."""
        return mixed(normalised(aligned, self.norm), self.weights.values())


def choose_weights(
    names: Sequence[str],
    lists: Iterable[Aligned],
    qrels: Qrels,
    measure: str,
    norms: Sequence[str] = NORMS,
    steps: int = STEPS,
) -> Weighting:
    """The weights, and the normalisation, with the best mean of the measure; of equals the first.

    names: of the runs that the lists hold
    lists: whole ones, for what a run lacks is its worst; some queries at a time, all of which are judged
    steps: each run's weight is one of 1/steps, 2/steps, …, and all together are 1
    """
    shares = [counts for counts in product(range(1, steps + 1), repeat=len(names)) if sum(counts) == steps]
    weights = [tuple(count / steps for count in counts) for counts in shares]
    tried: Tried[tuple[str, tuple[float, ...]]] = Tried()
    for aligned in lists:
        judged = Judged.of(aligned, qrels)
        for norm in norms:
            scores = normalised(aligned, norm)
            for each in weights:
                tried.add((norm, each), judged.values(mixed(scores, each), measure))
    (norm, chosen), best = tried.best()
    return Weighting(dict(zip(names, chosen, strict=True)), norm, best, len(norms) * len(weights))


def choose_count(
    runs: Iterable[Mapping[int, Run]], counts: Sequence[int], qrels: Qrels, measure: str
) -> tuple[int, float]:
    """The count whose run has the best mean of the measure, of equals the first, and that mean.

    runs: by count; some queries at a time, all of which are judged
    """
    if not counts:
        raise LabError("fusion: there is no count to choose from. Give it at least one.")
    tried: Tried[int] = Tried()
    for found in runs:
        for count in counts:
            values = evaluate(found[count], qrels.select(found[count]), [measure])[measure]
            tried.add(count, values.to_numpy())
    return tried.best()


class Tried(Generic[Way]):
    """What each way scores on each query, some queries after others."""

    def __init__(self) -> None:
        self.values: dict[Way, list[np.ndarray]] = {}

    def add(self, way: Way, values: np.ndarray) -> None:
        """What the way scores on further queries."""
        self.values.setdefault(way, []).append(values)

    def best(self) -> tuple[Way, float]:
        """The way with the best mean, of equals the first, and that mean."""
        means = {way: float(np.concatenate(values).mean()) for way, values in self.values.items()}
        chosen = max(means, key=means.__getitem__)
        return chosen, means[chosen]


@dataclass(frozen=True)
class Judged:
    """The relevant pairs, sorted by query, as `from_ranks` wants them.

    passage: its place, -1 where no run holds it for any query
    spared:  does the second pair, of the same query, not count as found before the first where their scores are equal?
    """

    query: Int64[np.ndarray, " pair"]
    passage: Int64[np.ndarray, " pair"]
    grade: Float64[np.ndarray, " pair"]
    n_relevant: Int64[np.ndarray, " query"]
    spared: Bool[np.ndarray, "pair pair"]
    held: Bool[np.ndarray, "query passage"]

    @classmethod
    def of(cls, aligned: Aligned, qrels: Qrels) -> "Judged":
        place = {passage: i for i, passage in enumerate(aligned.passages)}
        pairs = [
            (i, place.get(passage, -1), grade)
            for i, query in enumerate(aligned.queries)
            for passage, grade in qrels[query].items()
            if grade > 0
        ]
        query, passage, grade = np.array(pairs, dtype=float).reshape(-1, 3).T
        before = np.arange(len(pairs))[None] >= np.arange(len(pairs))[:, None]
        better = (grade[None] > grade[:, None]) | ((grade[None] == grade[:, None]) & before)
        same = query[None] == query[:, None]
        relevant = np.bincount(query.astype(int), minlength=len(aligned.queries))
        held: np.ndarray = np.logical_or.reduce(aligned.held)
        return cls(query.astype(int), passage.astype(int), grade, relevant, same & better, held)

    def values(self, scores: Float64[np.ndarray, "query passage"], measure: str) -> Float32[np.ndarray, " query"]:
        """`evaluate`, from the ranks: equals come before a relevant passage, but for more relevant ones."""
        nowhere = np.full((len(scores), 1), -np.inf)  # the place -1
        ranks = self._ranks(np.hstack([np.where(self.held, scores, -np.inf), nowhere]))
        return from_ranks(measure, ranks[None], self.query, self.grade, self.n_relevant)[0]

    def _ranks(self, scores: Float64[np.ndarray, "query place"]) -> Int32[np.ndarray, " pair"]:
        own = scores[self.query, self.passage]
        reached = (scores[self.query] >= own[:, None]).sum(1)
        spared = (self.spared & (own[None] == own[:, None])).sum(1)
        return np.where(np.isfinite(own), 1 + reached - spared, NEVER).astype(np.int32)

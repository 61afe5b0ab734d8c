"""What fusion leaves open, chosen by a measure on judged queries: weights, their normalisation, how many images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.retrieval.fusion import NORMS, Aligned, align, mixed, normalised, weighted
from hiddenstates.retrieval.measures import from_ranks, mean_score

STEPS = 20
"""Weights are tried in twentieths."""

NEVER = np.iinfo(np.int32).max
"""The rank of what no run holds."""


@dataclass(frozen=True)
class Weighting:
    """How runs are fused. score: of the queries it was chosen on; tried: among how many ways"""

    weights: dict[str, float]
    norm: str
    score: float
    tried: int

    def fuse(self, runs: Mapping[str, Run]) -> Run:
        """The runs of any queries, fused in this way."""
        return weighted(runs, self.weights, self.norm)

    def scores(self, aligned: Aligned) -> Float64[np.ndarray, "query passage"]:
        """The fused scores of runs that are aligned in the order of the weights."""
        return mixed(normalised(aligned, self.norm), self.weights.values())


def choose_weights(
    runs: Mapping[str, Run], qrels: Qrels, measure: str, norms: Sequence[str] = NORMS, steps: int = STEPS
) -> Weighting:
    """The weights, and the normalisation, with the best mean of the measure; of equals the first.

    runs:  whole lists, for what a run lacks is its worst; only the queries of the qrels count
    steps: each run's weight is one of 1/steps, 2/steps, …, and all together are 1
    """
    aligned = align({name: run.select(qrels) for name, run in runs.items()})
    judged = Judged.of(aligned, qrels)
    shares = [counts for counts in product(range(1, steps + 1), repeat=len(runs)) if sum(counts) == steps]
    tried = {}
    for norm in norms:
        scores = normalised(aligned, norm)
        for counts in shares:
            weights = tuple(count / steps for count in counts)
            tried[norm, weights] = judged.mean(mixed(scores, weights), measure)
    norm, chosen = max(tried, key=tried.__getitem__)
    return Weighting(dict(zip(runs, chosen, strict=True)), norm, tried[norm, chosen], len(tried))


def choose_count(search: Callable[[int], Run], counts: Sequence[int], qrels: Qrels, measure: str) -> tuple[int, float]:
    """The count whose run has the best mean of the measure, of equals the first, and that mean."""
    if not counts:
        raise LabError("fusion: there is no count to choose from. Give it at least one.")
    means = {count: mean_score(search(count), qrels, measure) for count in counts}
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

    def mean(self, scores: Float64[np.ndarray, "query passage"], measure: str) -> float:
        """`mean_score`, from the ranks: equals come before a relevant passage, but for more relevant ones."""
        nowhere = np.full((len(scores), 1), -np.inf)  # the place -1
        ranks = self._ranks(np.hstack([np.where(self.held, scores, -np.inf), nowhere]))
        return float(from_ranks(measure, ranks[None], self.query, self.grade, self.n_relevant).mean())

    def _ranks(self, scores: Float64[np.ndarray, "query place"]) -> Int32[np.ndarray, " pair"]:
        own = scores[self.query, self.passage]
        reached = (scores[self.query] >= own[:, None]).sum(1)
        spared = (self.spared & (own[None] == own[:, None])).sum(1)
        return np.where(np.isfinite(own), 1 + reached - spared, NEVER).astype(np.int32)

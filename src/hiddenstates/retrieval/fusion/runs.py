"""One run made of several: fused by weights or by ranks, carried from images to passages, filtered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Bool, Float64
from scipy.stats import rankdata

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Run

Scores = Float64[np.ndarray, "run query passage"]
NORMS = ("none", "minmax", "zscore")


@dataclass(frozen=True)
class Aligned:
    """Runs side by side, over every query and passage that any of them holds.

    scores: 0 where a run does not hold the passage; held: where it does
    """

    queries: Sequence[str]
    passages: Sequence[str]
    scores: Scores
    held: Bool[np.ndarray, "run query passage"]

    def fused(self, scores: Float64[np.ndarray, "query passage"]) -> Run:
        """These scores as a run: of each query, the passages that at least one run holds."""
        names = np.array(self.passages, dtype=object)
        found = (np.flatnonzero(held) for held in np.logical_or.reduce(self.held))
        rows = zip(self.queries, scores, found, strict=True)
        return Run({query: dict(zip(names[i], row[i].tolist(), strict=True)) for query, row, i in rows})

    def best(self, scores: Float64[np.ndarray, "query passage"], depth: int) -> Run:
        """`cut(fused(scores), depth)`, but that no row grows beyond ten times the depth where many tie at its end."""
        held: Bool[np.ndarray, "query passage"] = np.logical_or.reduce(self.held)
        offered = np.where(held, scores, -np.inf)
        return Run({query: self._best(row, depth) for query, row in zip(self.queries, offered, strict=True)})

    def _best(self, row: Float64[np.ndarray, " passage"], depth: int) -> dict[str, float]:
        least = np.partition(row, -depth)[-depth] if depth < len(row) else -np.inf
        kept = np.flatnonzero((row >= least) & (row > -np.inf))
        kept = kept[np.argsort(-row[kept], kind="stable")][: 10 * depth]
        return dict(zip((self.passages[i] for i in kept.tolist()), row[kept].tolist(), strict=True))


def align(runs: Mapping[str, Run]) -> Aligned:
    """The runs as one array, in their order. Raises LabError when there is none."""
    if not runs:
        raise LabError("fusion: there is no run to fuse. Give it at least one.")
    queries = list(dict.fromkeys(query for run in runs.values() for query in run))
    passages = list(dict.fromkeys(chain.from_iterable(row for run in runs.values() for row in run.rows.values())))
    place = {passage: i for i, passage in enumerate(passages)}
    scores = np.zeros((len(runs), len(queries), len(passages)))
    held = np.zeros(scores.shape, dtype=bool)
    for i, run in enumerate(runs.values()):
        for j, query in enumerate(queries):
            row = run.rows.get(query, {})
            places = [place[passage] for passage in row]
            scores[i, j, places] = list(row.values())
            held[i, j, places] = True
    return Aligned(queries, passages, scores, held)


def weighted(runs: Mapping[str, Run], weights: Mapping[str, float], norm: str) -> Run:
    """The weighted sum of the scores of several runs, each normalised query by query.

    weights: one a run, by its name
    norm:    one of `NORMS`. "minmax" takes each query's scores to 0 … 1, "zscore" to mean 0 and variance 1, "none" as
             they are; equal scores become 0 under both

    A passage that one run lacks gets there what the query's worst passage gets: it is known to be no better. A query
    that one run lacks is fused from the others.
    """
    if set(weights) != set(runs):
        raise LabError(f"fusion: weights of {', '.join(weights)} for runs of {', '.join(runs)}. Give each run one.")
    aligned = align(runs)
    return aligned.fused(mixed(normalised(aligned, norm), [weights[name] for name in runs]))


def mixed(scores: Scores, weights: Collection[float]) -> Float64[np.ndarray, "query passage"]:
    """The weighted sum over the runs."""
    return np.einsum("r,rqp->qp", np.array(list(weights), dtype=float), scores)


def normalised(aligned: Aligned, norm: str) -> Scores:
    """The scores on a common scale, and where a run lacks a passage the query's lowest; see `weighted`."""
    if norm not in NORMS:
        raise LabError(f"fusion: unknown norm {norm!r}. Choose one of {', '.join(NORMS)}.")
    held, scores = aligned.held, aligned.scores
    lowest = scores.min(-1, keepdims=True, where=held, initial=np.inf)
    lowest[np.isinf(lowest)] = 0.0  # a query that the run lacks
    filled = np.where(held, scores, lowest)
    if norm == "none":
        return filled
    if norm == "minmax":
        return _divided(filled - lowest, filled.max(-1, keepdims=True) - lowest)
    n = np.maximum(held.sum(-1, keepdims=True), 1)
    centred = filled - scores.sum(-1, keepdims=True) / n
    return _divided(centred, np.sqrt(np.square(centred).sum(-1, keepdims=True, where=held) / n))


def by_rank(aligned: Aligned, k: int = 60) -> Float64[np.ndarray, "query passage"]:
    """The sum over the runs of 1 / (k + rank), which needs no scores on one scale (Cormack et al. 2009).

    Equal scores share the last of their ranks, so that their order says nothing. A run adds nothing to a passage that
    it lacks.
    """
    ranks = rankdata(np.where(aligned.held, -aligned.scores, np.inf), method="max", axis=-1)
    found: Float64[np.ndarray, "query passage"] = np.where(aligned.held, 1 / (k + ranks), 0.0).sum(0)
    return found


def onto_passages(run: Run, passages: Mapping[str, str], queries: Mapping[str, str] | None = None) -> Run:
    """A run over images as a run over passages: each passage gets the score of its image.

    passages: passage id -> the id of its image; one whose image is not in the run is left out
    queries:  query id -> the id of the image that it shows, which asks in the run; none: the run's ids are the queries'
    """
    asked = queries if queries is not None else {query: query for query in run}
    rows = {image: _carried(run, image, passages) for image in dict.fromkeys(asked.values())}
    return Run({query: rows[image] for query, image in asked.items()})


def cut(run: Run, depth: int) -> Run:
    """The `depth` best of each query, and whatever has the same score as the last of them."""
    rows = {}
    for query, row in run.rows.items():
        least = min(sorted(row.values(), reverse=True)[:depth], default=0.0)
        rows[query] = {passage: score for passage, score in row.items() if score >= least}
    return Run(rows)


def otherwise(run: Run, fallback: Run) -> Run:
    """The run, and the fallback's row for each of its queries that the run lacks."""
    return Run({**fallback.rows, **run.rows})


def _divided(scores: Scores, scale: Float64[np.ndarray, "run query 1"]) -> Scores:
    """0 where the scale is: equal scores prefer nothing."""
    return np.divide(scores, scale, out=np.zeros_like(scores), where=scale > 1e-12)


def _carried(run: Run, image: str, passages: Mapping[str, str]) -> dict[str, float]:
    row = run.rows.get(image, {})
    return {passage: row[name] for passage, name in passages.items() if name in row}

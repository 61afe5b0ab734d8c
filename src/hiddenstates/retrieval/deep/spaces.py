"""A space of too many sets of states: which of them to score exactly, and their scores.

The search is guided by the measure among what is near each query, or by Spearman's correlation over judged pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from scipy.stats import rankdata

from hiddenstates.retrieval.deep.best_first import Members, best_first, in_blocks, members, seeds
from hiddenstates.retrieval.deep.listed import CONCAT, SUM, Named, Searched, listed_ranks
from hiddenstates.retrieval.deep.near import Near, guiding, packed_gram
from hiddenstates.retrieval.deep.toggles import toggled_ranks
from hiddenstates.retrieval.measures import from_ranks
from hiddenstates.retrieval.ranks.gram import Pairs, Passages, Queries, gram

KEPT = 50
"""Strategies of each way to combine that are scored exactly: those that the search found best, beside single states."""

CELLS = 2e7  # of tables of strategies and pairs


@dataclass(frozen=True)
class Found:
    """What a search found.

    named:     what to score exactly, single states first
    looked_at: how many strategies it looked at
    """

    named: list[Named]
    looked_at: int


@runtime_checkable
class Guide(Protocol):
    """What a search follows."""

    def __call__(self, combine: int, sets: Members, toggle: bool) -> Float64[np.ndarray, "set move"]:
        """The scores of the sets with each state put in or taken out, their own last; without `toggle` that alone."""
        ...


@dataclass(frozen=True)
class Ranked:
    """A space in which passages are ranked. pairs: the judged ones, sorted by query"""

    queries: Queries
    passages: Searched
    pairs: Pairs

    @classmethod
    def of(cls, queries: Queries, passages: Passages, pairs: Pairs) -> "Ranked":
        return cls(queries, Searched.of(passages, packed_gram(passages)), pairs)

    def ranks(self, named: Sequence[Named]) -> Int32[np.ndarray, "strategy pair"]:
        """Of each judged passage among all, exact."""
        return listed_ranks(self.queries, self.passages, self.pairs, named)

    def guide(self, measure: str, weights: Float64[np.ndarray, " query"], seed: int = 0) -> Guide:
        """By the measure among what is near; weights: of each query"""
        chosen = guiding(self.queries.shape[1], len(self.queries), seed)
        pairs = _renumbered(self.pairs, chosen)
        asked = np.ascontiguousarray(self.queries[:, chosen])
        near = Near.of(asked, self.passages.states, pairs, self.passages.norms)
        n_relevant = np.bincount(near.pairs.query, minlength=len(chosen))
        weigh = weights[chosen] / max(weights[chosen].sum(), 1e-30)

        def scores(combine: int, sets: Members, toggle: bool) -> Float64[np.ndarray, "set move"]:
            parts = []
            moves = sets.shape[1] + 1 if toggle else 1
            size = max(1, int(CELLS / (moves * len(near.judged))))
            for first in range(0, len(sets), size):
                ranks = toggled_ranks(
                    near.products, near.norms, near.passages, near.offsets, near.judged, near.starts,
                    sets[first : first + size], combine == SUM, toggle,
                )  # fmt: skip
                flat = ranks.reshape(-1, ranks.shape[2])
                values = from_ranks(measure, flat, near.pairs.query, near.pairs.grade, n_relevant)
                parts.append((values @ weigh).reshape(ranks.shape[:2]))
            return np.concatenate(parts)

        return scores


@dataclass(frozen=True)
class Similar:
    """A space in which judged pairs are compared: Gram matrices, [layer, layer, pair]."""

    products: Float64[np.ndarray, "layer layer pair"]
    left: Float64[np.ndarray, "layer layer pair"]
    right: Float64[np.ndarray, "layer layer pair"]

    @classmethod
    def of(cls, queries: Queries, passages: Passages, pairs: Pairs) -> "Similar":
        left, right = queries[:, pairs.query], passages[:, pairs.passage]
        return cls(gram(left, right), gram(left), gram(right))

    def cosines(self, named: Sequence[Named]) -> Float64[np.ndarray, "strategy pair"]:
        """Of each pair, in float64; 0 where a vector is zero."""
        found = np.empty((len(named), self.products.shape[2]))
        size = max(1, int(CELLS / (len(self.products) * found.shape[1])))
        for combine in (SUM, CONCAT):
            rows = np.array([row for row, (kind, _) in enumerate(named) if kind == combine], dtype=int)
            for first in range(0, len(rows), size):
                some = rows[first : first + size]
                chosen = np.stack([named[row][1] for row in some]).astype(float)
                total = partial(_totals, chosen, combine)
                lengths = np.sqrt(np.maximum(total(self.left) * total(self.right), 0))
                found[some] = np.divide(total(self.products), lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return found

    def guide(
        self,
        grades: Float64[np.ndarray, " pair"],
        set_of: Int64[np.ndarray, " pair"],
        weights: Float64[np.ndarray, " pair"],
    ) -> Guide:
        """By Spearman's correlation, each query set weighing the same.

        set_of: the number of each pair's set; weights: 0 for the pairs of sets that do not count
        """
        kinds = [set_of == one for one in np.unique(set_of[weights > 0])]

        def scores(combine: int, sets: Members, toggle: bool) -> Float64[np.ndarray, "set move"]:
            tried = np.concatenate([sets ^ move for move in _moves(sets.shape[1], toggle)])
            cosines = self.cosines([(combine, one) for one in tried])
            told = [_spearman(cosines[:, kind], grades[kind]) for kind in kinds]
            found: Float64[np.ndarray, "set move"] = np.mean(told, axis=0).reshape(-1, len(sets)).T
            return found

        return scores


def search(n_layers: int, guide: Guide, most: int) -> Found:
    """What to score exactly of all sets of so many states, summed and concatenated. most: strategies to look at"""
    single = [1 << layer for layer in range(n_layers)]
    named, looked_at = [(SUM, one) for one in members(single, n_layers)], 0
    for combine in (SUM, CONCAT):
        first: dict[int, float] = {}
        for block in in_blocks(seeds(n_layers), 256):
            first |= dict(zip(block, guide(combine, members(block, n_layers), False)[:, 0].tolist(), strict=True))
        found = best_first(n_layers, partial(guide, combine, toggle=True), first, most // 2)
        several = sorted(
            (one for one in found if one.bit_count() > 1), key=lambda one: (-found[one], one.bit_count(), one)
        )
        named += [(combine, one) for one in members(several[:KEPT], n_layers)]
        looked_at += len(found) - (n_layers if combine == CONCAT else 0)
    return Found(named, looked_at)


def _moves(n_layers: int, toggle: bool) -> Bool[np.ndarray, "move layer"]:
    """What is turned over: each state, then none; or none alone."""
    none = np.zeros((1, n_layers), dtype=bool)
    return np.concatenate([np.eye(n_layers, dtype=bool), none]) if toggle else none


def _totals(
    chosen: Float64[np.ndarray, "strategy layer"], combine: int, grams: Float64[np.ndarray, "layer layer pair"]
) -> Float64[np.ndarray, "strategy pair"]:
    """The sum of each pair's matrix over the states that are chosen, or over its diagonal."""
    if combine == CONCAT:
        return chosen @ np.einsum("llp->lp", grams)
    return np.einsum("slp,sl->sp", np.tensordot(chosen, grams, axes=1), chosen)


def _spearman(
    rows: Float64[np.ndarray, "strategy pair"], grades: Float64[np.ndarray, " pair"]
) -> Float64[np.ndarray, " strategy"]:
    """0 where nothing varies."""
    ranks, truth = rankdata(rows, axis=1), rankdata(grades)
    ranks -= ranks.mean(1, keepdims=True)
    truth = truth - truth.mean()
    scale = np.sqrt(np.square(ranks).sum(1) * np.square(truth).sum())
    return np.divide(ranks @ truth, scale, out=np.zeros(len(rows)), where=scale > 0)


def _renumbered(pairs: Pairs, chosen: Int64[np.ndarray, " query"]) -> Pairs:
    """The pairs of these queries, counted among them."""
    kept = pairs.where(np.isin(pairs.query, chosen))
    return Pairs(np.searchsorted(chosen, kept.query), kept.passage, kept.grade)

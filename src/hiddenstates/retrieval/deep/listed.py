"""The rank of every judged passage among all passages, under sets of hidden states that are named one by one.

As exact as gram.py and by the same means: float32 products of centred passages, and float64 where those cannot tell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from hiddenstates.core.files import let_go
from hiddenstates.retrieval.deep.counting import count_named
from hiddenstates.retrieval.deep.near import Packed
from hiddenstates.retrieval.ranks.exact import TIE, count_judged
from hiddenstates.retrieval.ranks.gram import Pairs, Passages, Queries

UNIT = 2.0**-24  # float32's rounding
BLOCK_BYTES = 2e8  # of inner products held at a time

SUM, CONCAT = 0, 1
Named = tuple[int, Bool[np.ndarray, " layer"]]
"""How states are combined, and which."""


@dataclass(frozen=True)
class Searched:
    """Passages that are ranked.

    still: layers whose vectors are the same for every passage
    norms: `packed_gram` of the passages
    """

    states: Passages
    still: Bool[np.ndarray, " layer"]
    norms: Packed

    @classmethod
    def of(cls, states: Passages, norms: Packed) -> "Searched":
        return cls(states, np.array([not np.ptp(layer, axis=0).any() for layer in states]), norms)

    def lengths(self, named: Named) -> Float64[np.ndarray, " passage"]:
        """Of each passage's vector; 1 of a zero vector, whose score is 0."""
        squares = _pattern(named) @ self.norms
        return np.sqrt(np.where(squares > 0, squares, 1.0))


@dataclass(frozen=True)
class Centred:
    """Passages without their layer's mean: a copy, made for scoring alone, so that a search has its room.

    means:  of the layers
    spread: the largest length of each layer
    """

    values: Passages
    means: Float64[np.ndarray, "layer d_model"]
    spread: Float64[np.ndarray, " layer"]

    @classmethod
    def of(cls, states: Passages) -> "Centred":
        means = np.stack([layer.mean(0, dtype=np.float64) for layer in states])
        values, spread = np.empty(states.shape, dtype=np.float32), np.empty(len(states))
        for layer, mean in enumerate(means):
            np.subtract(states[layer], mean, out=values[layer], casting="same_kind")
            spread[layer] = np.linalg.norm(values[layer], axis=1).max()
            let_go(states)  # of what is mapped, few rows are read from now on
        return cls(values, means, spread)


def listed_ranks(
    queries: Queries, searched: Searched, pairs: Pairs, named: Sequence[Named]
) -> Int32[np.ndarray, "strategy pair"]:
    """The rank of each pair's passage among all passages under each. 1 is best; ties as in `gram.subset_ranks`."""
    offsets = np.searchsorted(pairs.query, np.arange(queries.shape[1] + 1))
    ranks = np.empty((len(named), len(pairs.query)), dtype=np.int32)
    centred = Centred.of(searched.states)
    for row, products in _products(queries, centred.values, named):
        if searched.still[named[row][1]].all():
            ranks[row] = pairs.searched(searched.states.shape[1])
            continue
        above, exact, ties = _above(queries, searched, centred, pairs, named[row], products, offsets)
        count_judged(above, exact, ties, pairs.query, pairs.grade, offsets)
        ranks[row] = 1 + above[:, 0]
    return ranks


def _products(
    queries: Queries, passages: Passages, named: Sequence[Named]
) -> Iterator[tuple[int, Float32[np.ndarray, "query passage"]]]:
    """Of each strategy the products of all queries with all centred passages: the sums, then the concatenations."""
    for row, (combine, chosen) in enumerate(named):
        if combine == SUM:
            yield row, _summed(queries, chosen) @ _summed(passages, chosen).T
    side = [(row, chosen) for row, (combine, chosen) in enumerate(named) if combine == CONCAT]
    n_queries, n_passages = queries.shape[1], passages.shape[1]
    most = max(1, int(BLOCK_BYTES / (n_queries * n_passages * 4)))
    for first in range(0, len(side), most):
        some = side[first : first + most]
        totals = {row: np.zeros((n_queries, n_passages), dtype=np.float32) for row, _ in some}
        for layer in np.flatnonzero(np.any([chosen for _, chosen in some], axis=0)):
            product = queries[layer] @ passages[layer].T
            for row, chosen in some:
                if chosen[layer]:
                    totals[row] += product
        yield from totals.items()


def _summed(states: Passages, chosen: Bool[np.ndarray, " layer"]) -> Float32[np.ndarray, "item d_model"]:
    """One after the other: a selection of a deep model's states would be a copy of most of them."""
    total = np.zeros(states.shape[1:], dtype=np.float32)
    for layer in np.flatnonzero(chosen):
        total += states[layer]
    return total


def _above(
    queries: Queries,
    searched: Searched,
    centred: Centred,
    pairs: Pairs,
    named: Named,
    products: Float32[np.ndarray, "query passage"],
    offsets: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many are above each judged passage, judged ones left out; its exact score; what counts as a tie."""
    combine, chosen = named
    lengths = searched.lengths(named)
    typical = float(lengths.mean())
    excess = (lengths - typical).astype(np.float32)
    wide = queries[chosen].astype(np.float64)
    asked = wide.sum(0)[None] if combine == SUM else wide
    mean = centred.means[chosen].sum(0)[None] if combine == SUM else centred.means[chosen]
    shift = np.einsum("lqd,ld->q", asked, mean)
    own = np.sqrt(np.square(asked).sum((0, 2)))
    spread = centred.spread[chosen]
    sizes = np.linalg.norm(wide, axis=2)
    bound = sizes.sum(0) * spread.sum() if combine == SUM else spread @ sizes
    rounding = (16 + chosen.sum()) * UNIT * bound
    exact = np.empty((len(pairs.query), 1))
    above = np.zeros((len(pairs.query), 1), dtype=np.int32)
    count_named(
        products, excess, float(np.abs(excess).max()), typical, shift, rounding, queries, searched.states,
        combine, chosen, pairs.passage, offsets, own * TIE, exact, above,
    )  # fmt: skip
    return above, exact, (own * TIE)[pairs.query, None]


def _pattern(named: Named) -> Float64[np.ndarray, " product"]:
    """How often each product of two states counts in a strategy's squared length."""
    combine, chosen = named
    lower = np.tril_indices(len(chosen))
    both = np.outer(chosen, chosen)[lower].astype(float)
    same = lower[0] == lower[1]
    return np.where(same, both, 2 * both if combine == SUM else 0.0)

"""The rank of every relevant passage under every subset of hidden states, from layer-by-layer Gram matrices.

Let q_i and p_j be a query's and a passage's pooled states. For a set S of layers the scores are

    sum:     <sum_S q, sum_S p> / |sum_S p|  =  (sum_{i in S} D_i + sum_{i<j in S} T_ij) / |sum_S p|
    concat:  <q_S, p_S> / |p_S|              =   sum_{i in S} D_i / |p_S|

with D_i = <q_i, p_i> and T_ij = <q_i, p_j> + <q_j, p_i>; the query's own length cancels in a ranking. walk.py counts
the passages that score above t, the judged one's exact score: those whose product is above t |p|.

The walk is in float32, over passages from which each layer's mean is taken, and over lengths from which a typical one
is taken: where all vectors point almost the same way, their small differences keep all their digits. Passages that
float32 cannot tell from the judged one are scored again in float64, and those that even float64 cannot (`TIE`) are
tied: they count as found before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

from hiddenstates.retrieval.exact import TIE, count_judged, resolve
from hiddenstates.retrieval.walk import count_above, excess_lengths, subset_sums

COMBINES = ("sum", "concat")
BLOCK_BYTES = 512e6  # of inner products held at a time
CAPACITY = 1 << 12  # near ties of a query that there is room for at first
ROUNDING = 16 * 2.0**-24  # bound of float32's error, relative to the product of the lengths

Queries = Float32[np.ndarray, "layer query d_model"]
Passages = Float32[np.ndarray, "layer passage d_model"]
States = Float32[np.ndarray, "layer item d_model"]
Sums = Float64[np.ndarray, "combine subset item"]
Strategies = Float32[np.ndarray, "pair strategy"]
Ranks = Int32[np.ndarray, "combine subset pair"]


@dataclass(frozen=True)
class Pairs:
    """The judged pairs with a grade above 0, sorted by query.

    query, passage: rows of the states; grade: larger is more relevant
    """

    query: Int64[np.ndarray, " pair"]
    passage: Int64[np.ndarray, " pair"]
    grade: Float64[np.ndarray, " pair"]

    def of(self, first: int, last: int) -> "Pairs":
        """The pairs of the queries first to last - 1, counted from first."""
        chosen = slice(*np.searchsorted(self.query, [first, last]))
        return Pairs(self.query[chosen] - first, self.passage[chosen], self.grade[chosen])


def subset_ranks(queries: Queries, passages: Passages, pairs: Pairs) -> Ranks:
    """The rank of each pair's passage among all passages, for each combine and each set of layers as a bit mask.

    1 is best. Ties come first, but for passages that are judged at least as relevant. Under layers whose vectors are
    the same for every passage all are tied, and every rank is the last. Set 0 is empty: its ranks are 0.
    """
    searched = _Searched.of(passages)
    ranks = np.zeros((2, 1 << len(queries), len(pairs.query)), dtype=np.int32)
    done = 0
    for first, last in _blocks(queries.shape[1], len(queries), passages.shape[1]):
        block, asked = pairs.of(first, last), np.ascontiguousarray(queries[:, first:last])
        ranks[:, :, done : done + len(block.query)] = _block_ranks(asked, searched, block)
        done += len(block.query)
    ranks[:, searched.hopeless] = passages.shape[1]
    ranks[:, 0] = 0
    return ranks


def subset_cosines(queries: Queries, passages: Passages, pairs: Pairs) -> Sums:
    """The cosine of each pair for each combine and each set of layers, in float64; 0 where a vector is zero."""
    own = _lengths(_gram(queries[:, pairs.query]))
    return _pair_scores(queries, passages, pairs) / own


@dataclass(frozen=True)
class _Searched:
    """Passages made ready for the walk.

    centred:  without their layer's mean; means: those means
    typical:  a typical length, for each combine and set
    excess:   each length less the typical one; largest: in absolute value, the largest of them
    spread:   the largest centred length of each layer
    hopeless: sets of layers, the empty one too, whose vectors are the same for every passage
    """

    states: Passages
    centred: Passages
    means: Float64[np.ndarray, "layer d_model"]
    typical: Float64[np.ndarray, "combine subset"]
    excess: Float32[np.ndarray, "block strategy lane"]
    largest: Float64[np.ndarray, "combine subset"]
    spread: Float64[np.ndarray, " layer"]
    hopeless: Int64[np.ndarray, " hopeless"]

    @classmethod
    def of(cls, states: Passages) -> "_Searched":
        means = states.mean(1, dtype=np.float64)
        centred = (states - means[:, None]).astype(np.float32)
        gram = _gram(states)
        typical = _lengths(gram.mean(2, keepdims=True))[:, :, 0]
        excess = excess_lengths(gram, typical.T.ravel())
        largest = np.maximum(excess.max((0, 2)), -excess.min((0, 2))).reshape(-1, 2).T.astype(np.float64)
        spread = np.linalg.norm(centred, axis=2).max(1).astype(np.float64)
        hopeless = _within(np.ptp(states, axis=1).max(-1) == 0)
        return cls(states, centred, means, typical, excess, largest, spread, hopeless)


def _blocks(n_queries: int, n_layers: int, n_passages: int) -> Iterator[tuple[int, int]]:
    """As few blocks of queries as memory allows, of the same size but for one less."""
    products = n_layers * (n_layers + 1) // 2
    most = max(1, int(BLOCK_BYTES / (products * n_passages * 4)))
    edges = np.linspace(0, n_queries, -(-n_queries // most) + 1).astype(int).tolist()
    return pairwise(edges)


def _block_ranks(queries: Queries, searched: _Searched, pairs: Pairs) -> Ranks:
    offsets = np.searchsorted(pairs.query, np.arange(queries.shape[1] + 1))
    exact = _pair_scores(queries, searched.states, pairs)
    products, bounds = _products(queries, searched.centred), _bounds(queries, searched, exact, pairs.query)
    capacity = CAPACITY
    while True:
        above, near, found = count_above(products, searched.excess, *bounds, pairs.passage, offsets, capacity)
        if found.max(initial=0) <= capacity:
            break
        capacity = int(found.max())
    ties = np.ascontiguousarray(TIE * _lengths(_gram(queries))[:, :, pairs.query])
    resolve(above, near, found, queries, searched.states, exact, ties)
    count_judged(above, exact, ties, pairs.query, pairs.grade, offsets)
    return np.ascontiguousarray(above.reshape(exact.T.shape).T + 1)


def _bounds(
    queries: Queries, searched: _Searched, exact: Sums, query_of: Int64[np.ndarray, " pair"]
) -> tuple[Strategies, Strategies, Strategies]:
    """In the walk's terms: each judged passage's score, and the margins from which others are perhaps, surely above."""
    wide = queries.astype(np.float64)
    constant = subset_sums(np.einsum("iqd,jd->ijq", wide, searched.means))[:, :, query_of]
    lengths = np.linalg.norm(wide, axis=2)
    error = ROUNDING * subset_sums(np.einsum("iq,j->ijq", lengths, searched.spread))[:, :, query_of]
    wanted = exact * searched.typical[:, :, None] - constant
    error += 2.0**-22 * (np.abs(wanted) + np.abs(exact) * searched.largest[:, :, None])
    wanted[:, searched.hopeless] = np.inf  # all tied: nothing to find out, and everything would be near
    return _by_pair(exact), _by_pair(wanted - error), _by_pair(wanted + error)


def _by_pair(sums: Sums) -> Strategies:
    """In the order in which the walk reads them."""
    n_pairs, n_subsets, n_combines = sums.T.shape
    return sums.T.astype(np.float32, order="C").reshape(n_pairs, n_subsets * n_combines)


def _within(layers: Bool[np.ndarray, " layer"]) -> Int64[np.ndarray, " allowed"]:
    """The sets that hold none but these layers."""
    allowed = sum(1 << int(layer) for layer in np.flatnonzero(layers))
    subsets = np.arange(1 << len(layers))
    return subsets[subsets & ~allowed == 0]


def _gram(left: States, right: States | None = None) -> Float64[np.ndarray, "layer layer item"]:
    """The inner products of each item's states with one another, or of two rows of items, in float64."""
    right = left if right is None else right
    products = np.empty((left.shape[1], len(left), len(right)))
    for first in range(0, left.shape[1], 512):  # items at a time, to bound memory
        rows = slice(first, first + 512)
        wide, other = (states[:, rows].astype(np.float64) for states in (left, right))
        np.matmul(wide.transpose(1, 0, 2), other.transpose(1, 2, 0), out=products[rows])
    return np.ascontiguousarray(products.transpose(1, 2, 0))


def _lengths(gram: Float64[np.ndarray, "layer layer item"]) -> Sums:
    """Of each item's vector under each set; 1 where it is the zero vector, whose score is 0."""
    squares = subset_sums(gram)
    return np.sqrt(np.where(squares > 0, squares, 1.0))


def _pair_scores(queries: Queries, passages: Passages, pairs: Pairs) -> Sums:
    """The exact scores of the judged pairs, in float64."""
    answers = passages[:, pairs.passage]
    return subset_sums(_gram(queries[:, pairs.query], answers)) / _lengths(_gram(answers))


def _products(queries: Queries, passages: Passages) -> Float32[np.ndarray, "product query passage"]:
    """<q_i, p_i> for each layer, then <q_i + q_j, p_i + p_j> = D_i + D_j + T_ij for i < j: half of what T needs."""
    n_layers = len(queries)
    both = [(i, j) for i in range(n_layers) for j in range(i + 1, n_layers)]
    products = np.empty((n_layers + len(both), queries.shape[1], passages.shape[1]), dtype=np.float32)
    for i in range(n_layers):
        np.matmul(queries[i], passages[i].T, out=products[i])
    for row, (i, j) in enumerate(both, n_layers):
        np.matmul(queries[i] + queries[j], (passages[i] + passages[j]).T, out=products[row])
    return products

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
from itertools import combinations, pairwise

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

from hiddenstates.retrieval.ranks.exact import TIE, count_judged, resolve
from hiddenstates.retrieval.ranks.subsets import bounds, excess_lengths, judged_scores, subset_sums
from hiddenstates.retrieval.ranks.walk import count_above

COMBINES = ("sum", "concat")
BLOCK_BYTES = 1e9  # of inner products held at a time
CAPACITY = 1 << 14  # near ties of a query that there is room for at first

Queries = Float32[np.ndarray, "layer query d_model"]
Passages = Float32[np.ndarray, "layer passage d_model"]
States = Float32[np.ndarray, "layer item d_model"]
Products = Float32[np.ndarray, "product query passage"]
Grams = Float64[np.ndarray, "layer layer item"]
Exact = Float64[np.ndarray, "pair strategy"]
Highest = Float64[np.ndarray, "query strategy"]
Bounds = Float32[np.ndarray, "pair strategy"]
Above = Int32[np.ndarray, "pair strategy"]
Cosines = Float64[np.ndarray, "combine subset pair"]
Ranks = Int32[np.ndarray, "combine subset pair"]


@dataclass(frozen=True)
class Pairs:
    """The judged pairs with a grade above 0, sorted by query.

    query, passage: rows of the states; grade: larger is more relevant, minus infinity: not searched by this query, so
    that it is above nothing
    """

    query: Int64[np.ndarray, " pair"]
    passage: Int64[np.ndarray, " pair"]
    grade: Float64[np.ndarray, " pair"]

    def of(self, first: int, last: int) -> "Pairs":
        """The pairs of the queries first to last - 1, counted from first."""
        chosen = slice(*np.searchsorted(self.query, [first, last]))
        return Pairs(self.query[chosen] - first, self.passage[chosen], self.grade[chosen])

    def where(self, chosen: Bool[np.ndarray, " pair"] | Int64[np.ndarray, " chosen"]) -> "Pairs":
        return Pairs(self.query[chosen], self.passage[chosen], self.grade[chosen])

    def firsts(self) -> Int64[np.ndarray, " asked"]:
        """The first pair of each query that has one and searches its passage."""
        sought = np.flatnonzero(np.isfinite(self.grade))
        return sought[np.diff(self.query[sought], prepend=-1) > 0]

    def counted(self, best: bool) -> Int64[np.ndarray, " counted"]:
        """The pairs that a rank is told of: all, or `firsts`, each for the best of its query."""
        return self.firsts() if best else np.arange(len(self.query))

    def searched(self, n_passages: int) -> Int64[np.ndarray, " pair"]:
        """How many passages the query of each pair searches."""
        hidden = np.bincount(self.query[np.isneginf(self.grade)], minlength=self.query.max(initial=-1) + 1)
        return n_passages - hidden[self.query]


def subset_ranks(queries: Queries, passages: Passages, pairs: Pairs, best: bool = False) -> Ranks:
    """The rank of each pair's passage among all passages, for each combine and each set of layers as a bit mask.

    1 is best. Ties come first, but for passages that are judged at least as relevant. Under layers whose vectors are
    the same for every passage all are tied, and every rank is the last. Set 0 is empty: its ranks are 0.

    best: only that of each query's best passage, which is all that MRR asks for: one column for each of
          `pairs.firsts()`, and one count instead of one for each of a query's pairs
    """
    if len(queries) == 1:  # the walk takes layers 0 and 1 together: a second one, of zeros, that nobody sees
        queries, passages = (np.concatenate([states, np.zeros_like(states)]) for states in (queries, passages))
        return subset_ranks(queries, passages, pairs, best)[:, :2]
    searched, rows = _Searched.of(passages), pairs.counted(best)
    ranks = np.empty((len(rows), len(searched.typical)), dtype=np.int32)
    done = 0
    for first, last in _blocks(queries.shape[1], len(queries), passages.shape[1]):
        block, asked = pairs.of(first, last), np.ascontiguousarray(queries[:, first:last])
        above = _above(asked, searched, block, best)
        ranks[done : done + len(above)] = 1 + above
        done += len(above)
    ranks[:, searched.hopeless] = pairs.searched(passages.shape[1])[rows, None]
    ranks[:, :2] = 0
    return _by_combine(ranks)


def subset_cosines(queries: Queries, passages: Passages, pairs: Pairs) -> Cosines:
    """The cosine of each pair for each combine and each set of layers, in float64; 0 where a vector is zero."""
    exact, lengths = _judged(queries, passages, pairs)
    return _by_combine(exact / lengths)


@dataclass(frozen=True)
class _Searched:
    """Passages made ready for the walk.

    centred:  without their layer's mean; means: those means
    typical:  a typical length, for each strategy
    excess:   each length less the typical one; largest: in absolute value, the largest of them
    spread:   the largest centred length of each layer
    hopeless: strategies, those of the empty set too, whose vectors are the same for every passage
    """

    states: Passages
    centred: Passages
    means: Float64[np.ndarray, "layer d_model"]
    typical: Float64[np.ndarray, " strategy"]
    excess: Float32[np.ndarray, "block strategy lane"]
    largest: Float64[np.ndarray, " strategy"]
    spread: Float64[np.ndarray, " layer"]
    hopeless: Int64[np.ndarray, " hopeless"]

    @classmethod
    def of(cls, states: Passages) -> "_Searched":
        means = states.mean(1, dtype=np.float64)
        centred = (states - means[:, None]).astype(np.float32)
        lengths = gram(states)
        squares = subset_sums(lengths.mean(2, keepdims=True)).T.ravel()
        typical = np.sqrt(np.where(squares > 0, squares, 1.0))
        excess = excess_lengths(lengths, typical)
        largest = np.maximum(excess.max((0, 2)), -excess.min((0, 2))).astype(np.float64)
        spread = np.linalg.norm(centred, axis=2).max(1).astype(np.float64)
        constant = _within(np.ptp(states, axis=1).max(-1) == 0)
        hopeless = (constant[:, None] << 1 | np.arange(2)).ravel()
        return cls(states, centred, means, typical, excess, largest, spread, hopeless)


def _blocks(n_queries: int, n_layers: int, n_passages: int) -> Iterator[tuple[int, int]]:
    """As few blocks of queries as memory allows, of the same size but for one less."""
    products = n_layers * (n_layers + 1) // 2
    most = max(1, int(BLOCK_BYTES / (products * n_passages * 4)))
    edges = np.linspace(0, n_queries, -(-n_queries // most) + 1).astype(int).tolist()
    return pairwise(edges)


def _products(queries: Queries, passages: Passages) -> Products:
    """<q_i, p_i> for each layer, then <q_i + q_j, p_i + p_j> = D_i + D_j + T_ij for i < j: half of what T needs."""
    both = list(combinations(range(len(queries)), 2))
    products = np.empty((len(queries) + len(both), queries.shape[1], passages.shape[1]), dtype=np.float32)
    for i in range(len(queries)):
        np.matmul(queries[i], passages[i].T, out=products[i])
    added = np.empty_like(passages[0])
    for row, (i, j) in enumerate(both, len(queries)):
        np.matmul(queries[i] + queries[j], np.add(passages[i], passages[j], out=added).T, out=products[row])
    return products


def _above(queries: Queries, searched: _Searched, pairs: Pairs, best: bool) -> Above:
    """How many passages are above each judged one, of those of one block of queries; or above each query's best."""
    exact, lengths = _judged(queries, searched.states, pairs)
    query_of = pairs.query[pairs.counted(best)]
    if best:
        exact, lengths = _best(exact, lengths, pairs)
    hidden, counted = (np.searchsorted(of, np.arange(queries.shape[1] + 1)) for of in (pairs.query, query_of))
    products, limits = _products(queries, searched.centred), _limits(queries, searched, exact, query_of)
    capacity = CAPACITY
    while True:
        above, near, found = count_above(products, searched.excess, *limits, pairs.passage, hidden, counted, capacity)
        if found.max(initial=0) <= capacity:
            break
        capacity = int(found.max())
    ties = TIE * lengths
    resolve(above, near, found, queries, searched.states, exact, ties)
    if not best:  # no judged passage is above the best of them
        count_judged(above, exact, ties, pairs.query, pairs.grade, hidden)
    return above


def _best(exact: Exact, lengths: Exact, pairs: Pairs) -> tuple[Highest, Highest]:
    """The highest of a query's exact scores under each strategy, and the query's lengths."""
    sought = np.isfinite(pairs.grade)
    starts = np.flatnonzero(np.diff(pairs.query[sought], prepend=-1))
    if not len(starts):
        return exact[:0], lengths[:0]
    return np.maximum.reduceat(exact[sought], starts), lengths[pairs.firsts()]


def _judged(queries: Queries, passages: Passages, pairs: Pairs) -> tuple[Exact, Exact]:
    """The exact scores of the judged pairs, and the lengths of their queries, in float64."""
    answers = passages[:, pairs.passage]
    products = gram(queries[:, pairs.query], answers)
    return judged_scores(products, gram(answers), np.take(gram(queries), pairs.query, axis=2))


def _limits(
    queries: Queries, searched: _Searched, exact: Exact, query_of: Int64[np.ndarray, " pair"]
) -> tuple[Bounds, Bounds, Bounds]:
    """In the walk's terms: each judged passage's score, the product that it stands for, and the error of that."""
    wide = queries.astype(np.float64)
    means = (wide @ searched.means.T).transpose(0, 2, 1)
    sizes = np.linalg.norm(wide, axis=2)[:, None] * searched.spread[:, None]
    of_pairs = (np.take(matrix, query_of, axis=2) for matrix in (means, sizes))
    slope, wanted, error = bounds(exact, searched.typical, searched.largest, *of_pairs)
    wanted[:, searched.hopeless] = np.inf  # all tied: nothing to find out, and everything would be near
    return slope, wanted, error


def _within(layers: Bool[np.ndarray, " layer"]) -> Int64[np.ndarray, " allowed"]:
    """The sets that hold none but these layers."""
    allowed = sum(1 << int(layer) for layer in np.flatnonzero(layers))
    subsets = np.arange(1 << len(layers))
    return subsets[subsets & ~allowed == 0]


def gram(left: States, right: States | None = None) -> Grams:
    """The inner products of each item's states with one another, or of two rows of items, in float64."""
    right = left if right is None else right
    products = np.empty((left.shape[1], len(left), len(right)))
    for first in range(0, left.shape[1], 512):  # items at a time, to bound memory
        rows = slice(first, first + 512)
        wide, other = (states[:, rows].astype(np.float64) for states in (left, right))
        np.matmul(wide.transpose(1, 0, 2), other.transpose(1, 2, 0), out=products[rows])
    return np.ascontiguousarray(products.transpose(1, 2, 0))


def _by_combine(table: np.ndarray) -> np.ndarray:
    """[pair, strategy] -> [combine, subset, pair], a view."""
    return table.reshape(len(table), -1, 2).T

"""The rank of every relevant passage under every subset of hidden states, from layer-by-layer Gram matrices.

Let q_i and p_j be a query's and a passage's pooled states. For a set S of layers the scores are

    sum:     <sum_S q, sum_S p> / |sum_S p|  =  (sum_{i in S} D_i + sum_{i<j in S} T_ij) / |sum_S p|
    concat:  <q_S, p_S> / |p_S|              =   sum_{i in S} D_i / |p_S|

with D_i = <q_i, p_i> and T_ij = <q_i, p_j> + <q_j, p_i>; the query's own length cancels in a ranking. Counted
upwards as bit masks, a set's parent (itself without its lowest layer) comes before it, so it costs two additions.

The walk is in float32, over passages from which each layer's mean is taken: where all vectors point almost the same
way, their small differences keep all their digits. Passages that float32 cannot tell from the relevant one are scored
again in float64, and those that even float64 cannot (`TIE`) are tied: they count as found before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64

COMBINES = ("sum", "concat")
TIE = 1e-12  # cosines closer than this are equal
LANES = 64  # passages that one walk over the subsets carries along
CHUNK = 16  # queries that share a block of passages while it is in the cache
BLOCK_BYTES = 256e6  # of inner products held at a time
ROUNDING = 16 * 2.0**-24  # bound of float32's error, relative to the product of the lengths

States = Float32[np.ndarray, "layer item d_model"]
Sums = Float64[np.ndarray, "combine subset item"]
Walked = Float32[np.ndarray, "..."]
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


def subset_ranks(queries: States, passages: States, pairs: Pairs) -> Ranks:
    """The rank of each pair's passage among all passages, for each combine and each set of layers as a bit mask.

    1 is best. Ties come first, but for passages that are judged at least as relevant. Under layers whose vectors are
    the same for every passage all are tied, and every rank is the last. Set 0 is empty: its ranks are 0.
    """
    searched = _Searched.of(passages)
    ranks = np.zeros((2, 1 << len(queries), len(pairs.query)), dtype=np.int32)
    done = 0
    for first, last in _blocks(queries.shape[1], len(queries), passages.shape[1]):
        block = pairs.of(first, last)
        ranks[:, :, done : done + len(block.query)] = _block_ranks(queries[:, first:last], searched, block)
        done += len(block.query)
    ranks[:, searched.hopeless] = passages.shape[1]
    return ranks


def subset_cosines(queries: States, passages: States, pairs: Pairs) -> Sums:
    """The cosine of each pair for each combine and each set of layers, in float64; 0 where a vector is zero."""
    wide = queries.astype(np.float64)
    return _pair_scores(wide, passages, pairs) / _lengths(_own_gram(queries[:, pairs.query]))


@dataclass(frozen=True)
class _Searched:
    """Passages made ready for the walk.

    centred:   without their layer's mean; means: those means
    inverse:   for each block of lanes, combine and set: 1 / length, minus `reference`
    reference: 1 / a typical length, for each combine and set
    largest:   the largest |1 / length| and |1 / length - reference|, for each combine and set
    spread:    the largest centred length of each layer
    hopeless:  sets of layers whose vectors are the same for every passage
    """

    states: States
    centred: States
    means: Float64[np.ndarray, "layer d_model"]
    inverse: Float32[np.ndarray, "block subset combine lane"]
    reference: Float64[np.ndarray, "combine subset"]
    largest: Float64[np.ndarray, "which combine subset"]
    spread: Float64[np.ndarray, " layer"]
    hopeless: Int64[np.ndarray, " subset"]

    @classmethod
    def of(cls, states: States) -> "_Searched":
        n_layers, n_items, _ = states.shape
        means = states.mean(1, dtype=np.float64)
        centred = (states - means[:, None]).astype(np.float32)
        gram = _own_gram(states)
        reference = 1 / _lengths(gram.mean(2, keepdims=True))[:, :, 0]
        n_blocks = -(-n_items // LANES)
        inverse = np.zeros((n_blocks, 1 << n_layers, 2, LANES), dtype=np.float32)
        largest = np.zeros((2, 2, 1 << n_layers))
        for block in range(n_blocks):
            part = gram[:, :, block * LANES : (block + 1) * LANES]
            lengths = _lengths(part)
            exact = 1 / lengths - reference[:, :, None]
            inverse[block, :, :, : part.shape[2]] = exact.transpose(1, 0, 2)
            largest[0] = np.maximum(largest[0], (1 / lengths).max(2))
            largest[1] = np.maximum(largest[1], np.abs(exact).max(2))
        spread = np.linalg.norm(centred, axis=2).max(1).astype(np.float64)
        hopeless = _within(np.ptp(states, axis=1).max(-1) == 0)
        return cls(states, centred, means, inverse, reference, largest, spread, hopeless)


def _blocks(n_queries: int, n_layers: int, n_passages: int) -> Iterator[tuple[int, int]]:
    products = n_layers * (n_layers + 1) // 2
    size = max(1, int(BLOCK_BYTES / (products * n_passages * 4)))
    return ((first, min(first + size, n_queries)) for first in range(0, n_queries, size))


def _block_ranks(queries: States, searched: _Searched, pairs: Pairs) -> Ranks:
    offsets = np.searchsorted(pairs.query, np.arange(queries.shape[1] + 1))
    wide = queries.astype(np.float64)
    lengths = _lengths(_own_gram(queries))
    exact = _pair_scores(wide, searched.states, pairs)
    low, high, constant = _bounds(wide, searched, exact, pairs.query)
    products, typical = _products(queries, searched.centred), _walked(searched.reference)
    capacity = 1 << 12
    while True:
        above, near, found = _walk(
            products, searched.inverse, typical, constant, low, high, pairs.passage, offsets,
            searched.states.shape[1], capacity,
        )  # fmt: skip
        if found.max(initial=0) <= capacity:
            break
        capacity = int(found.max())
    _resolve(above, near, found, wide, searched.states, exact, lengths)
    _judged(above, exact, lengths, pairs.query, pairs.grade, offsets)
    above[:, 1:] += 1
    return np.ascontiguousarray(above.transpose(2, 1, 0))


def _bounds(
    queries: np.ndarray, searched: _Searched, exact: Sums, query_of: np.ndarray
) -> tuple[Walked, Walked, Walked]:
    """In the walk's terms: what the passages' means contribute to each query, and the scores too near a judged one."""
    constant = subset_sums(np.einsum("iqd,jd->ijq", queries, searched.means))
    lengths = np.linalg.norm(queries, axis=2)
    error = ROUNDING * subset_sums(np.einsum("iq,j->ijq", lengths, searched.spread)) * searched.largest[0][:, :, None]
    error += 2.0**-22 * np.abs(constant) * searched.largest[1][:, :, None]
    wanted = exact - (constant * searched.reference[:, :, None])[:, :, query_of]
    error = error[:, :, query_of] + 2.0**-23 * np.abs(wanted)
    wanted[:, searched.hopeless] = np.inf  # all tied: nothing to find out, and everything would be near
    return _walked(wanted - error), _walked(wanted + error), _walked(constant)


def _walked(sums: np.ndarray) -> Walked:
    """[combine, subset, …] in float32 and in the order in which the walk reads it."""
    return np.ascontiguousarray(sums.T, dtype=np.float32)


def _within(layers: Bool[np.ndarray, " layer"]) -> Int64[np.ndarray, " subset"]:
    """The sets that hold these layers only."""
    allowed = sum(1 << int(layer) for layer in np.flatnonzero(layers))
    subsets = np.arange(1, 1 << len(layers))
    return subsets[subsets & ~allowed == 0]


def _own_gram(states: States) -> Float64[np.ndarray, "layer layer item"]:
    wide = states.astype(np.float64)
    return np.array([[np.einsum("nd,nd->n", a, b) for b in wide] for a in wide])


def _lengths(gram: Float64[np.ndarray, "layer layer item"]) -> Sums:
    """Of each item's vector under each set; 1 where it is the zero vector, whose score is 0."""
    squares = subset_sums(gram)
    return np.sqrt(np.where(squares > 0, squares, 1.0))


def _pair_scores(queries: np.ndarray, passages: States, pairs: Pairs) -> Sums:
    """The exact scores of the judged pairs, in float64."""
    asked = queries[:, pairs.query]
    answer = passages[:, pairs.passage].astype(np.float64)
    cross = np.array([[np.einsum("nd,nd->n", a, b) for b in answer] for a in asked])
    own = np.array([[np.einsum("nd,nd->n", a, b) for b in answer] for a in answer])
    return subset_sums(cross) / _lengths(own)


def _products(queries: States, passages: States) -> Float32[np.ndarray, "product query passage"]:
    """D_i on the first rows, then T_ij for i < j, each from one product: <q_i + q_j, p_i + p_j> - D_i - D_j."""
    n_layers = len(queries)
    products = np.empty((n_layers * (n_layers + 1) // 2, queries.shape[1], passages.shape[1]), dtype=np.float32)
    for i in range(n_layers):
        np.matmul(queries[i], passages[i].T, out=products[i])
    row = n_layers
    for i in range(n_layers):
        for j in range(i + 1, n_layers):
            np.matmul(queries[i] + queries[j], (passages[i] + passages[j]).T, out=products[row])
            products[row] -= products[i]
            products[row] -= products[j]
            row += 1
    return products


@numba.njit(cache=True)
def _tables(n_layers):  # type: ignore[no-untyped-def]
    """For each set: its lowest layer, and how many layers it has."""
    lowest = np.zeros(1 << n_layers, dtype=np.int64)
    size = np.zeros(1 << n_layers, dtype=np.int64)
    for subset in range(1, 1 << n_layers):
        while not subset >> lowest[subset] & 1:
            lowest[subset] += 1
        size[subset] = size[subset & (subset - 1)] + 1
    return lowest, size


@numba.njit(cache=True)
def subset_sums(matrix):  # type: ignore[no-untyped-def]
    """For each set S of layers, matrix [layer, layer, item]: the sum over S x S, and the sum over its diagonal.

    -> [combine, subset, item], sets as bit masks
    """
    n_layers, _, n = matrix.shape
    lowest, size = _tables(n_layers)
    sums = np.zeros((2, 1 << n_layers, n))
    pending = np.zeros((n_layers + 1, n_layers, n))
    for j in range(n_layers):
        pending[0, j] = matrix[j, j]
    for subset in range(1, 1 << n_layers):
        layer, depth, parent = lowest[subset], size[subset], subset & (subset - 1)
        sums[0, subset] = sums[0, parent] + pending[depth - 1, layer]
        sums[1, subset] = sums[1, parent] + matrix[layer, layer]
        for j in range(layer):
            pending[depth, j] = pending[depth - 1, j] + (matrix[layer, j] + matrix[j, layer])
    return sums


@numba.njit(cache=True, parallel=True)
def _walk(products, inverse, typical, constant, low, high, passage, offsets, n_passages, capacity):  # type: ignore[no-untyped-def]
    """Passages surely above each judged one, and those too near to say: rows (subset and combine, pair, passage).

    low, high: [pair, subset, combine], between them a score is too near the judged passage's
    """
    n_layers = _n_layers(products.shape[0])
    lowest, size = _tables(n_layers)
    above = np.zeros(low.shape, dtype=np.int32)
    near = np.empty((len(offsets) - 1, capacity, 3), dtype=np.int32)
    found = np.zeros(len(offsets) - 1, dtype=np.int64)
    for chunk in numba.prange(-(-len(found) // CHUNK)):
        sums = np.zeros((2, n_layers + 1, LANES), dtype=np.float32)
        pending = np.zeros((n_layers + 1, n_layers, LANES), dtype=np.float32)
        cross = np.zeros((n_layers, n_layers, LANES), dtype=np.float32)
        scores = np.empty(LANES, dtype=np.float32)
        for block in range(inverse.shape[0]):
            start = block * LANES
            for query in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(found))):
                first, last = offsets[query], offsets[query + 1]
                _load(products, query, start, pending, cross)
                hidden = _hidden(passage[first:last], start, n_passages)
                for subset in range(1, len(lowest)):
                    _advance(sums, pending, cross, lowest[subset], size[subset])
                    for combine in range(2):
                        place = block, subset, combine, size[subset], query
                        if not _any(sums, inverse, typical, constant, place, _least(low, first, last, subset, combine)):
                            continue
                        _score(sums, inverse, typical, constant, place, scores)
                        for lane in hidden:
                            scores[lane] = -np.inf
                        for pair in range(first, last):
                            bottom, top = low[pair, subset, combine], high[pair, subset, combine]
                            surely, maybe = _count(scores, bottom, top)
                            above[pair, subset, combine] += surely
                            if maybe > surely:
                                found[query] = _note(scores, bottom, top, place, pair, start, near, found[query])
    return above, near, found


@numba.njit(cache=True)
def _n_layers(n_products):  # type: ignore[no-untyped-def]
    """The number of layers L that have L (L + 1) / 2 products."""
    return int(np.sqrt(2 * n_products))


@numba.njit(cache=True)
def _hidden(passages, start, n_passages):  # type: ignore[no-untyped-def]
    """Lanes that do not count: judged passages, which are compared with one another elsewhere, and beyond the last."""
    lanes = [lane for lane in range(LANES) if start + lane >= n_passages]
    for passage in passages:
        if start <= passage < start + LANES:
            lanes.append(passage - start)
    return np.array(lanes, dtype=np.int64)


@numba.njit(cache=True)
def _load(products, query, start, pending, cross):  # type: ignore[no-untyped-def]
    n_layers = cross.shape[0]
    width = min(LANES, products.shape[2] - start)
    row = n_layers
    for i in range(n_layers):
        pending[0, i, :width] = products[i, query, start : start + width]
        for j in range(i + 1, n_layers):
            cross[j, i, :width] = products[row, query, start : start + width]
            row += 1


@numba.njit(cache=True)
def _advance(sums, pending, cross, layer, depth):  # type: ignore[no-untyped-def]
    """One more layer on top of the parent, and what each lower layer would add on top of that."""
    for lane in range(LANES):
        sums[0, depth, lane] = sums[0, depth - 1, lane] + pending[depth - 1, layer, lane]
        sums[1, depth, lane] = sums[1, depth - 1, lane] + pending[0, layer, lane]
    for j in range(layer):
        for lane in range(LANES):
            pending[depth, j, lane] = pending[depth - 1, j, lane] + cross[layer, j, lane]


@numba.njit(cache=True)
def _least(low, first, last, subset, combine):  # type: ignore[no-untyped-def]
    least = np.float32(np.inf)
    for pair in range(first, last):
        least = min(least, low[pair, subset, combine])
    return least


@numba.njit(cache=True, fastmath={"contract"})
def _any(sums, inverse, typical, constant, place, bottom):  # type: ignore[no-untyped-def]
    """Does any passage come near? Mostly none does, and nothing need be stored to see it."""
    block, subset, combine, depth, query = place
    usual, shared = typical[subset, combine], constant[query, subset, combine]
    reached = np.int32(0)
    for lane in range(LANES):
        value = sums[combine, depth, lane]
        reached |= np.int32(value * usual + (value + shared) * inverse[block, subset, combine, lane] >= bottom)
    return reached


@numba.njit(cache=True, fastmath={"contract"})
def _score(sums, inverse, typical, constant, place, scores):  # type: ignore[no-untyped-def]
    """(sum + constant) (typical + inverse), less what is the same for all passages."""
    block, subset, combine, depth, query = place
    usual, shared = typical[subset, combine], constant[query, subset, combine]
    for lane in range(LANES):
        value = sums[combine, depth, lane]
        scores[lane] = value * usual + (value + shared) * inverse[block, subset, combine, lane]


@numba.njit(cache=True)
def _count(scores, bottom, top):  # type: ignore[no-untyped-def]
    surely = maybe = np.int32(0)
    for lane in range(LANES):
        surely += np.int32(scores[lane] > top)
        maybe += np.int32(scores[lane] >= bottom)
    return surely, maybe


@numba.njit(cache=True)
def _note(scores, bottom, top, place, pair, start, near, found):  # type: ignore[no-untyped-def]
    _, subset, combine, _, query = place
    for lane in range(LANES):
        if bottom <= scores[lane] <= top:
            if found < near.shape[1]:
                near[query, found] = subset << 1 | combine, pair, start + lane
            found += 1
    return found


@numba.njit(cache=True, parallel=True)
def _resolve(above, near, found, queries, passages, exact, lengths):  # type: ignore[no-untyped-def]
    """Score what was too near again, in float64, and count what is above or tied."""
    for query in numba.prange(len(found)):
        for n in range(found[query]):
            combine, subset = near[query, n, 0] & 1, near[query, n, 0] >> 1
            pair, passage = near[query, n, 1], near[query, n, 2]
            score = _exact_score(queries[:, query], passages[:, passage], combine, subset)
            if score >= exact[combine, subset, pair] - TIE * lengths[combine, subset, query]:
                above[pair, subset, combine] += 1


@numba.njit(cache=True)
def _exact_score(query, passage, combine, subset):  # type: ignore[no-untyped-def]
    n_layers, width = query.shape
    product = square = 0.0
    for d in range(width):
        q_sum = p_sum = 0.0
        for layer in range(n_layers):
            if subset >> layer & 1:
                q, p = query[layer, d], np.float64(passage[layer, d])
                if combine == 1:
                    product += q * p
                    square += p * p
                q_sum += q
                p_sum += p
        if combine == 0:
            product += q_sum * p_sum
            square += p_sum * p_sum
    return product / np.sqrt(square) if square > 0 else 0.0


@numba.njit(cache=True)
def _judged(above, exact, lengths, query_of, grade, offsets):  # type: ignore[no-untyped-def]
    """Among the judged passages of a query: above, or tied and less relevant (or as relevant, and listed before)."""
    for pair in range(len(query_of)):
        for other in range(offsets[query_of[pair]], offsets[query_of[pair] + 1]):
            if other == pair:
                continue
            loses_ties = grade[other] < grade[pair] or (grade[other] == grade[pair] and other < pair)
            for combine in range(2):
                for subset in range(1, above.shape[1]):
                    tie = TIE * lengths[combine, subset, query_of[pair]]
                    gap = exact[combine, subset, other] - exact[combine, subset, pair]
                    above[pair, subset, combine] += gap > tie or (loses_ties and gap >= -tie)

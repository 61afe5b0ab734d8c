"""Sums over all sets of hidden states, compiled. Sets are bit masks; a strategy is `set << 1 | combine`.

Counted upwards, a set's parent (itself without its lowest layer) comes before it, so that each costs two additions.
"""

import numba
import numpy as np

LANES = 128  # passages that one walk over the sets carries along
ITEMS = 32  # whose sums are turned from a column each into a row each while they are in the cache
ROUNDING = 16 * 2.0**-24  # bound of float32's error, relative to the product of the lengths


@numba.njit(cache=True)
def tables(n_layers):  # type: ignore[no-untyped-def]
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

    -> [combine, subset, item]
    """
    n_layers, _, n = matrix.shape
    lowest, size = tables(n_layers)
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
def excess_lengths(gram, typical):  # type: ignore[no-untyped-def]
    """Each item's length under each strategy, less a typical one, in blocks of `LANES` items.

    gram: [layer, layer, item], of each item with itself; typical: [strategy] -> [block, strategy, lane]
    """
    n_layers, _, n_items = gram.shape
    excess = np.zeros((-(-n_items // LANES), 2 << n_layers, LANES), dtype=np.float32)
    for block in numba.prange(len(excess)):
        squares = subset_sums(gram[:, :, block * LANES : (block + 1) * LANES])
        for strategy in range(excess.shape[1]):
            for lane in range(squares.shape[2]):
                excess[block, strategy, lane] = _length(squares[strategy & 1, strategy >> 1, lane]) - typical[strategy]
    return excess


@numba.njit(cache=True, parallel=True)
def judged_scores(products, answers, queries):  # type: ignore[no-untyped-def]
    """The exact score of each judged pair under each strategy, in float64, and the length of its query.

    Each [layer, layer, pair]: the inner products of the query's states with the passage's, of the passage's with one
    another, of the query's with one another -> [pair, strategy]
    """
    n_layers, _, n_pairs = products.shape
    exact = np.empty((n_pairs, 2 << n_layers))
    lengths = np.empty((n_pairs, 2 << n_layers))
    for block in numba.prange(-(-n_pairs // ITEMS)):
        rows = slice(block * ITEMS, (block + 1) * ITEMS)
        scores, squares = subset_sums(products[:, :, rows]), subset_sums(answers[:, :, rows])
        own = subset_sums(queries[:, :, rows])
        for item in range(scores.shape[2]):
            for strategy in range(2 << n_layers):
                at = strategy & 1, strategy >> 1, item
                exact[block * ITEMS + item, strategy] = scores[at] / _length(squares[at])
                lengths[block * ITEMS + item, strategy] = _length(own[at])
    return exact, lengths


@numba.njit(cache=True, parallel=True)
def bounds(exact, typical, largest, means, sizes):  # type: ignore[no-untyped-def]
    """What `count_above` compares: each judged passage's score, the product it wants, and float32's error of both.

    exact: [pair, strategy]; typical, largest: [strategy], of the lengths; means: [layer, layer, pair], the query's
    products with the mean that was taken from all passages; sizes: the products of the lengths -> each [pair, strategy]
    """
    n_pairs, n_strategies = exact.shape
    slope = np.empty((n_pairs, n_strategies), dtype=np.float32)
    wanted, error = np.empty_like(slope), np.empty_like(slope)
    for block in numba.prange(-(-n_pairs // ITEMS)):
        rows = slice(block * ITEMS, (block + 1) * ITEMS)
        constant, bound = subset_sums(means[:, :, rows]), subset_sums(sizes[:, :, rows])
        for item in range(constant.shape[2]):
            pair = block * ITEMS + item
            for strategy in range(n_strategies):
                at = strategy & 1, strategy >> 1, item
                score = exact[pair, strategy]
                product = score * typical[strategy] - constant[at]
                slope[pair, strategy], wanted[pair, strategy] = score, product
                small = 2.0**-22 * (abs(product) + abs(score) * largest[strategy])
                error[pair, strategy] = ROUNDING * bound[at] + small
    return slope, wanted, error


@numba.njit(cache=True, forceinline=True)
def _length(square):  # type: ignore[no-untyped-def]
    """1 of the zero vector, whose score is 0."""
    return np.sqrt(square) if square > 0 else 1.0

"""What one hidden state more or less makes of a set: ranks among the passages near each query. Compiled."""

import numba
import numpy as np


@numba.njit(cache=True, parallel=True)
def toggled_ranks(  # type: ignore[no-untyped-def]
    products, norms, passages, offsets, judged, starts, parents, summed, toggle
):  # fmt: skip
    """The rank of each judged passage among those near its query; ties come first.

    Under each parent with one state put in, or taken out where it is in; last under the parent itself. Without
    `toggle`, that alone. The other arguments: the fields of `Near`
    parents: [parent, layer], whether the state is in the set; summed: else concatenated
    -> [parent, layer and last itself, pair]
    """
    n_parents, n_layers = parents.shape
    moves = n_layers + 1 if toggle else 1
    n_products = n_layers * (n_layers + 1) // 2
    ranks = np.empty((n_parents, moves, len(judged)), dtype=np.int32)
    for query in numba.prange(len(offsets) - 1):
        first, stop = offsets[query], offsets[query + 1]
        n = stop - first
        own = products[first * n_products : stop * n_products].reshape(n_products, n)
        squares = np.empty((n_products, n))
        for row in range(n_products):
            for k in range(n):
                squares[row, k] = norms[row, passages[first + k]]
        product, square = np.empty(n), np.empty(n)
        more, longer, scores = np.empty(n), np.empty(n), np.empty(n)
        for parent in range(n_parents):
            members = parents[parent]
            product[:] = 0.0
            square[:] = 0.0
            for layer in range(n_layers):
                if members[layer]:
                    _add(own, squares, members, layer, layer, summed, 1.0, product, square)
            for move in range(moves):
                layer = move if toggle else n_layers
                more[:] = product
                longer[:] = square
                if layer < n_layers:
                    sign = -1.0 if members[layer] else 1.0
                    _add(own, squares, members, layer, n_layers, summed, sign, more, longer)
                _score(more, longer, scores)
                for pair in range(starts[query], starts[query + 1]):
                    ranks[parent, move, pair] = _at_least(scores, scores[judged[pair]])
    return ranks


@numba.njit(cache=True)
def _at_least(scores, wanted):  # type: ignore[no-untyped-def]
    """How many are no less, the wanted one among them."""
    count = 0
    for k in range(len(scores)):
        count += scores[k] >= wanted
    return count


@numba.njit(cache=True, fastmath={"contract"})
def _add(own, squares, members, layer, below, summed, sign, product, square):  # type: ignore[no-untyped-def]
    """One state more, or less, beside those members that come before another one."""
    diagonal = layer * (layer + 3) // 2
    for k in range(len(product)):
        product[k] += sign * own[diagonal, k]
        square[k] += sign * squares[diagonal, k]
    if not summed:
        return
    for other in range(below):
        if members[other] and other != layer:
            high, low = max(layer, other), min(layer, other)
            row = high * (high + 1) // 2 + low
            for k in range(len(product)):
                product[k] += 2 * sign * own[row, k]
                square[k] += 2 * sign * squares[row, k]


@numba.njit(cache=True, fastmath={"contract"})
def _score(product, square, scores):  # type: ignore[no-untyped-def]
    """0 of a vector without length: the empty set's are all tied."""
    for k in range(len(product)):
        scores[k] = product[k] / np.sqrt(square[k]) if square[k] > 1e-20 else 0.0

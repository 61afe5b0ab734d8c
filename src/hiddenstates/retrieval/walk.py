"""The compiled walk over all sets of hidden states. Sets are bit masks; a strategy is `set << 1 | combine`.

Counted upwards, a set's parent (itself without its lowest layer) comes before it, so it costs two additions. A set and
the one that also holds layer 0, which nothing builds on, are scored together.
"""

import numba
import numpy as np

LANES = 128  # passages that one walk over the sets carries along
CHUNK = 8  # queries that share passages and sets while their lengths are in the cache
TILE = 256  # sets, a power of 2, that one query walks before it is the next one's turn


@numba.njit(cache=True)
def subset_sums(matrix):  # type: ignore[no-untyped-def]
    """For each set S of layers, matrix [layer, layer, item]: the sum over S x S, and the sum over its diagonal.

    -> [combine, subset, item]
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
                square = squares[strategy & 1, strategy >> 1, lane]
                excess[block, strategy, lane] = (np.sqrt(square) if square > 0 else 1.0) - typical[strategy]
    return excess


@numba.njit(cache=True, parallel=True)
def count_above(products, excess, slope, low, high, passage, offsets, capacity):  # type: ignore[no-untyped-def]
    """Passages surely above each judged one, and those too near to say.

    A passage's margin is its inner product less slope x excess length: from `high` on it is surely above, and from
    `low` on perhaps. slope, low, high: [pair, strategy]; offsets: where each query's pairs begin, and the last's end
    -> above [pair, strategy]; near [query, n, (strategy, pair, passage)], the first `capacity`; how many there are
    """
    n_queries, n_layers = len(offsets) - 1, _n_layers(products.shape[0])
    lowest, size = _tables(n_layers)
    above = np.zeros(low.shape, dtype=np.int32)
    near = np.empty((n_queries, capacity, 3), dtype=np.int32)
    found = np.zeros(n_queries, dtype=np.int64)
    for chunk in numba.prange(-(-n_queries // CHUNK)):
        queries = range(chunk * CHUNK, min((chunk + 1) * CHUNK, n_queries))
        sums = np.zeros((CHUNK, 2, n_layers + 1, LANES), dtype=np.float32)
        pending = np.zeros((CHUNK, n_layers + 1, n_layers, LANES), dtype=np.float32)
        cross = np.zeros((CHUNK, n_layers, n_layers, LANES), dtype=np.float32)
        for block in range(len(excess)):
            for turn, query in enumerate(queries):
                judged = passage[offsets[query] : offsets[query + 1]]
                _load(products, query, block * LANES, judged, pending[turn], cross[turn])
            for tile in range(0, 1 << n_layers, TILE):
                for turn, query in enumerate(queries):
                    found[query] = _walk(
                        range(tile, min(tile + TILE, 1 << n_layers), 2), lowest, size,
                        sums[turn], pending[turn], cross[turn], excess, block, slope, low, high,
                        offsets[query], offsets[query + 1], above, near[query], found[query],
                    )  # fmt: skip
    return above, near, found


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
def _n_layers(n_products):  # type: ignore[no-untyped-def]
    """The number of layers L that have L (L + 1) / 2 products."""
    return int(np.sqrt(2 * n_products))


@numba.njit(cache=True)
def _load(products, query, start, judged, pending, cross):  # type: ignore[no-untyped-def]
    """D_i and T_ij of one query and a block of passages. Lanes that do not count can never be above: minus infinity.

    Those are lanes beyond the last passage, and judged passages, which are compared with one another elsewhere.
    """
    n_layers = cross.shape[0]
    width = min(LANES, products.shape[2] - start)
    for i in range(n_layers):
        pending[0, i, :width] = products[i, query, start : start + width]
        pending[0, i, width:] = -np.inf
    row = n_layers
    for i in range(n_layers):
        for j in range(i + 1, n_layers):
            for lane in range(width):
                both = products[row, query, start + lane]
                cross[j, i, lane] = both - pending[0, i, lane] - pending[0, j, lane]
            row += 1
    for hidden in judged:
        if start <= hidden < start + LANES:
            pending[0, :, hidden - start] = -np.inf


@numba.njit(cache=True)
def _walk(  # type: ignore[no-untyped-def]
    subsets, lowest, size, sums, pending, cross, excess, block, slope, low, high, first, last, above, near, found
):
    """One query, one block of passages, some sets; pairs first to last - 1. -> how many near ones are found so far"""
    if first == last:
        return found
    values = np.empty((4, LANES), dtype=np.float32)
    margins = np.empty(LANES, dtype=np.float32)
    for subset in subsets:
        if subset:
            _advance(sums, pending, cross, lowest[subset], size[subset])
        _twins(sums, pending, size[subset], values)
        for which in range(4):
            strategy = subset << 1 | which
            for pair in range(first, last):
                tilt, bottom, top = slope[pair, strategy], low[pair, strategy], high[pair, strategy]
                if _any(values, which, excess, block, strategy, tilt, bottom):
                    _margins(values, which, excess, block, strategy, tilt, margins)
                    surely, maybe = _count(margins, bottom, top)
                    above[pair, strategy] += surely
                    if maybe > surely:
                        found = _note(margins, bottom, top, strategy, pair, block * LANES, near, found)
    return found


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
def _twins(sums, pending, depth, values):  # type: ignore[no-untyped-def]
    """The inner products of a set, and of the same set with layer 0: each summed, then concatenated."""
    for lane in range(LANES):
        values[0, lane] = sums[0, depth, lane]
        values[1, lane] = sums[1, depth, lane]
        values[2, lane] = sums[0, depth, lane] + pending[depth, 0, lane]
        values[3, lane] = sums[1, depth, lane] + pending[0, 0, lane]


@numba.njit(cache=True, fastmath={"contract"})
def _any(values, which, excess, block, strategy, tilt, bottom):  # type: ignore[no-untyped-def]
    """Does any passage come near? Mostly none does, and nothing need be stored to see it."""
    reached = np.int32(0)
    for lane in range(LANES):
        reached |= np.int32(values[which, lane] - tilt * excess[block, strategy, lane] >= bottom)
    return reached


@numba.njit(cache=True, fastmath={"contract"})
def _margins(values, which, excess, block, strategy, tilt, margins):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        margins[lane] = values[which, lane] - tilt * excess[block, strategy, lane]


@numba.njit(cache=True)
def _count(margins, bottom, top):  # type: ignore[no-untyped-def]
    surely = maybe = np.int32(0)
    for lane in range(LANES):
        surely += np.int32(margins[lane] >= top)
        maybe += np.int32(margins[lane] >= bottom)
    return surely, maybe


@numba.njit(cache=True)
def _note(margins, bottom, top, strategy, pair, start, near, found):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        if bottom <= margins[lane] < top:
            if found < len(near):
                near[found] = strategy, pair, start + lane
            found += 1
    return found

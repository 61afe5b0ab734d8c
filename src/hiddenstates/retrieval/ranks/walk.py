"""The compiled walk over all sets of hidden states: how many passages are above each judged one, under each.

A set grows from its parent, itself without its lowest layer. Nothing grows from the four sets that differ in layers 0
and 1 alone: they are scored together, summed and concatenated, eight strategies in one pass over the lanes. That pass
has no branch, so that the compiler makes vector instructions of it.
"""

import numba
import numpy as np

from hiddenstates.retrieval.ranks.subsets import LANES, tables

CHUNK = 32  # queries that share passages and sets while their lengths are in the cache
TILE = 64  # fours of sets that one query walks before it is the next one's turn
MAGNITUDE = 0x7FFFFFFF  # the bits of a float32 but for its sign: as whole numbers they are ordered as it is


@numba.njit(cache=True, parallel=True)
def count_above(products, excess, slope, wanted, error, passage, hidden, counted, capacity):  # type: ignore[no-untyped-def]
    """Passages surely above each score that is counted for, and those too near to say; judged ones are neither.

    A passage's margin is its inner product, less slope x excess length, less what is wanted: beyond `error` it is
    surely above or below, within it is near. At least two layers.
    slope, wanted, error: [row, strategy], a row for each score, in the order of queries
    passage: the judged ones; hidden, counted: where each query's judged passages and rows begin, and the last's end
    -> above [row, strategy]; near [query, n, (strategy, row, passage)], the first `capacity`; how many there are
    """
    n_queries, n_layers = len(hidden) - 1, _n_layers(products.shape[0])
    lowest, size = tables(n_layers)
    above = np.zeros(slope.shape, dtype=np.int32)
    near = np.empty((n_queries, capacity, 3), dtype=np.int32)
    found = np.zeros(n_queries, dtype=np.int64)
    for chunk in numba.prange(-(-n_queries // CHUNK)):
        queries = range(chunk * CHUNK, min((chunk + 1) * CHUNK, n_queries))
        both = np.zeros((CHUNK, n_layers + 1, LANES), dtype=np.float32)
        gains = np.zeros((CHUNK, n_layers + 1, n_layers + 1, LANES), dtype=np.float32)
        steps = np.zeros((CHUNK, n_layers, n_layers + 1, LANES), dtype=np.float32)
        margins = np.empty(LANES, dtype=np.float32)
        for block in range(len(excess)):
            for turn, query in enumerate(queries):
                judged = passage[hidden[query] : hidden[query + 1]]
                _load(products, query, block * LANES, judged, gains[turn], steps[turn])
            for tile in range(0, 1 << n_layers - 2, TILE):
                fours = range(tile, min(tile + TILE, 1 << n_layers - 2))
                for turn, query in enumerate(queries):
                    found[query] = _walk(
                        fours, lowest, size, both[turn], gains[turn], steps[turn], excess, block, slope, wanted, error,
                        counted[query], counted[query + 1], above, near[query], found[query], margins,
                    )  # fmt: skip
    return above, near, found


@numba.njit(cache=True)
def _n_layers(n_products):  # type: ignore[no-untyped-def]
    """The number of layers L that have L (L + 1) / 2 products."""
    return int(np.sqrt(2 * n_products))


@numba.njit(cache=True)
def _load(products, query, start, judged, gains, steps):  # type: ignore[no-untyped-def]
    """D_i and T_ij of one query and a block of passages. Lanes that do not count can never be above: minus infinity.

    Those are lanes beyond the last passage, and judged passages, which are compared with one another elsewhere.
    """
    n_layers, stop = len(steps), min(start + LANES, products.shape[2])
    for i in range(n_layers):
        steps[i, 0, : stop - start] = products[i, query, start:stop]
        steps[i, 0, stop - start :] = -np.inf
    row = n_layers
    for i in range(n_layers):
        for j in range(i + 1, n_layers):
            pair = products[row, query, start:stop]  # a view: lanes counted from 0 become vector instructions
            for lane in range(len(pair)):
                steps[j, 1 + i, lane] = pair[lane] - steps[i, 0, lane] - steps[j, 0, lane]
            row += 1
    for hidden in judged:
        if start <= hidden < start + LANES:
            steps[:, 0, hidden - start] = -np.inf
    gains[0, 1:] = steps[:, 0]


@numba.njit(cache=True)
def _walk(  # type: ignore[no-untyped-def]
    fours, lowest, size, both, gains, steps, excess, block, slope, wanted, error,
    first, last, above, near, found, margins,
):  # fmt: skip
    """One query, one block of passages, some sets; pairs first to last - 1. -> how many near ones are found so far"""
    if first == last:
        return found
    for four in fours:
        depth, strategy = size[four], four << 3
        if four:
            _advance(both, gains, steps, 2 + lowest[four], depth)
        for pair in range(first, last):
            if not _count(both, gains, steps, depth, excess, block, slope, wanted, error, pair, strategy, above):
                found = _note(
                    both, gains, steps, depth, excess, block, slope, wanted, error, pair, strategy,
                    above, near, found, margins,
                )  # fmt: skip
    return found


@numba.njit(cache=True, forceinline=True)
def _advance(both, gains, steps, layer, depth):  # type: ignore[no-untyped-def]
    """One more layer on top of the parent: summed; concatenated, and what each lower layer would add (`gains`)."""
    for lane in range(LANES):
        both[depth, lane] = both[depth - 1, lane] + gains[depth - 1, 1 + layer, lane]
    for row in range(layer + 1):
        for lane in range(LANES):
            gains[depth, row, lane] = gains[depth - 1, row, lane] + steps[layer, row, lane]


@numba.njit(cache=True, forceinline=True)
def _count(both, gains, steps, depth, excess, block, slope, wanted, error, pair, first, above):  # type: ignore[no-untyped-def]
    """Count what is above under eight strategies, `first` and on. Where one is near nothing is counted: -> False"""
    n0 = n1 = n2 = n3 = n4 = n5 = n6 = n7 = np.int32(0)
    closest = np.int32(MAGNITUDE)
    for lane in range(LANES):
        summed, added = both[depth, lane], gains[depth, 0, lane]
        summed_0, added_0 = summed + gains[depth, 1, lane], added + gains[0, 1, lane]
        summed_1, added_1 = summed + gains[depth, 2, lane], added + gains[0, 2, lane]
        summed_01, added_01 = summed_0 + (gains[depth, 2, lane] + steps[1, 1, lane]), added_0 + gains[0, 2, lane]
        n0, closest = _tally(n0, closest, summed, excess, block, slope, wanted, pair, first, lane)
        n1, closest = _tally(n1, closest, added, excess, block, slope, wanted, pair, first + 1, lane)
        n2, closest = _tally(n2, closest, summed_0, excess, block, slope, wanted, pair, first + 2, lane)
        n3, closest = _tally(n3, closest, added_0, excess, block, slope, wanted, pair, first + 3, lane)
        n4, closest = _tally(n4, closest, summed_1, excess, block, slope, wanted, pair, first + 4, lane)
        n5, closest = _tally(n5, closest, added_1, excess, block, slope, wanted, pair, first + 5, lane)
        n6, closest = _tally(n6, closest, summed_01, excess, block, slope, wanted, pair, first + 6, lane)
        n7, closest = _tally(n7, closest, added_01, excess, block, slope, wanted, pair, first + 7, lane)
    bound = np.float32(0)
    for strategy in range(first, first + 8):
        bound = max(bound, error[pair, strategy])
    if closest <= np.float32(bound).view(np.int32):
        return False
    for which, below in enumerate((n0, n1, n2, n3, n4, n5, n6, n7)):
        above[pair, first + which] += LANES - below
    return True


@numba.njit(cache=True, forceinline=True, fastmath={"contract"})
def _margin(value, excess, block, slope, wanted, pair, strategy, lane):  # type: ignore[no-untyped-def]
    return value - slope[pair, strategy] * excess[block, strategy, lane] - wanted[pair, strategy]


@numba.njit(cache=True, forceinline=True)
def _tally(below, closest, value, excess, block, slope, wanted, pair, strategy, lane):  # type: ignore[no-untyped-def]
    """A passage is below if the sign bit of its margin is set. -> how many are, and the smallest margin so far"""
    bits = np.float32(_margin(value, excess, block, slope, wanted, pair, strategy, lane)).view(np.int32)
    return np.int32(below - (bits >> np.int32(31))), min(closest, np.int32(bits & MAGNITUDE))


@numba.njit(cache=True)
def _note(  # type: ignore[no-untyped-def]
    both, gains, steps, depth, excess, block, slope, wanted, error, pair, first, above, near, found, margins
):
    """The same eight, where a passage is near under one of them: write it down, and count the others."""
    for which in range(8):
        strategy = first + which
        bound = error[pair, strategy]
        _values(both, gains, steps, depth, which, margins)
        for lane in range(LANES):
            margins[lane] = _margin(margins[lane], excess, block, slope, wanted, pair, strategy, lane)
        surely, maybe = _between(margins, bound)
        above[pair, strategy] += surely
        if maybe > surely:
            for lane in range(LANES):
                if abs(margins[lane]) <= bound:
                    if found < len(near):
                        near[found] = strategy, pair, block * LANES + lane
                    found += 1
    return found


@numba.njit(cache=True, forceinline=True)
def _values(both, gains, steps, depth, which, values):  # type: ignore[no-untyped-def]
    """The inner products under one of the eight: bit 0 tells concat from sum, bits 1 and 2 are layers 0 and 1."""
    alone = which & 1
    for lane in range(LANES):
        values[lane] = gains[depth, 0, lane] if alone else both[depth, lane]
    for layer in range(2):
        if which >> 1 + layer & 1:
            for lane in range(LANES):
                values[lane] += gains[0 if alone else depth, 1 + layer, lane]
    if which == 6:
        for lane in range(LANES):
            values[lane] += steps[1, 1, lane]


@numba.njit(cache=True, forceinline=True)
def _between(margins, bound):  # type: ignore[no-untyped-def]
    """How many are surely above, and how many perhaps, those among them."""
    surely = maybe = np.int32(0)
    for lane in range(LANES):
        surely = np.int32(surely + np.int32(margins[lane] > bound))
        maybe = np.int32(maybe + np.int32(margins[lane] >= -bound))
    return surely, maybe

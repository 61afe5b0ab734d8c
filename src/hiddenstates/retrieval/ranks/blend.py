"""The compiled count for joined strategies: how many passages score above each judged one in a blend of two scores."""

import numba
import numpy as np

PASSAGES_AT_ONCE = 1024  # passages of which all candidates' scores are in the cache


@numba.njit(cache=True, parallel=True)
def count_blends(scores, first, second, weight, low, high, offsets, capacity):  # type: ignore[no-untyped-def]
    """Passages above `high`, and the places of those between the limits, of each query the first `capacity`.

    low, high: [pair, joined] -> above [pair, joined]; near [query, n, (joined, pair, passage)]; how many there are
    """
    n_queries, n_passages = len(offsets) - 1, scores.shape[2]
    above = np.zeros(low.shape, dtype=np.int32)
    near = np.empty((n_queries, capacity, 3), dtype=np.int32)
    found = np.zeros(n_queries, dtype=np.int64)
    for query in numba.prange(n_queries):
        total = np.empty(PASSAGES_AT_ONCE, dtype=np.float32)
        for start in range(0, n_passages if offsets[query] < offsets[query + 1] else 0, PASSAGES_AT_ONCE):
            stop = min(start + PASSAGES_AT_ONCE, n_passages)
            for joined in range(len(first)):
                mixed = total[: stop - start]
                _mix(scores[first[joined], query, start:stop], scores[second[joined], query, start:stop],
                     weight[joined], mixed)  # fmt: skip
                for pair in range(offsets[query], offsets[query + 1]):
                    surely, maybe = _between(mixed, low[pair, joined], high[pair, joined])
                    above[pair, joined] += surely
                    if maybe > surely:
                        found[query] = _note(
                            mixed, low[pair, joined], high[pair, joined], joined, pair, start, near[query], found[query]
                        )
    return above, near, found


@numba.njit(cache=True)
def _mix(first, second, weight, total):  # type: ignore[no-untyped-def]
    rest = np.float32(1) - weight
    for lane in range(len(total)):
        total[lane] = weight * first[lane] + rest * second[lane]


@numba.njit(cache=True)
def _between(values, low, high):  # type: ignore[no-untyped-def]
    """How many are above `high`, and how many not below `low`, those among them."""
    surely = maybe = np.int32(0)
    for lane in range(len(values)):
        surely = np.int32(surely + np.int32(values[lane] > high))
        maybe = np.int32(maybe + np.int32(values[lane] >= low))
    return surely, maybe


@numba.njit(cache=True)
def _note(values, low, high, joined, pair, start, near, found):  # type: ignore[no-untyped-def]
    for lane in range(len(values)):
        if low <= values[lane] <= high:
            if found < len(near):
                near[found] = joined, pair, start + lane
            found += 1
    return found

"""How many passages are above each judged one, under one strategy. Compiled."""

import numba

from hiddenstates.retrieval.ranks.exact import exact_score


@numba.njit(cache=True, parallel=True)
def count_named(  # type: ignore[no-untyped-def]
    products, excess, largest, typical, shift, rounding, queries, passages,
    combine, chosen, judged, offsets, tie, exact, above,
):  # fmt: skip
    """How many passages are above each judged one, into `above`; its exact score, into `exact`: [pair, 1] each.

    A margin as in `walk.count_above`: what float32 cannot tell is scored again in float64. products: [query, passage];
    excess, largest, typical: of the lengths; shift: what centring took from each query's products; rounding: float32's
    error of each query's products; tie: what counts as no difference; judged, offsets: the pairs of each query
    """
    for query in numba.prange(len(offsets) - 1):
        own = judged[offsets[query] : offsets[query + 1]]  # compared with one another elsewhere
        for pair in range(offsets[query], offsets[query + 1]):
            score = exact_score(queries[:, query], passages[:, judged[pair]], combine, chosen)
            wanted = score * typical - shift[query]
            error = rounding[query] + 2.0**-22 * (abs(wanted) + abs(score) * largest)
            count, near = _tell(products[query], excess, score, wanted, error)
            for passage in own:
                margin = _margin(products[query], excess, score, wanted, passage)
                count, near = count - (margin > error), near - (abs(margin) <= error)
            for passage in range(len(excess) if near else 0):
                if abs(_margin(products[query], excess, score, wanted, passage)) <= error and passage not in own:
                    again = exact_score(queries[:, query], passages[:, passage], combine, chosen)
                    count += again >= score - tie[query]
            exact[pair, 0], above[pair, 0] = score, count


@numba.njit(cache=True)
def _tell(products, excess, score, wanted, error):  # type: ignore[no-untyped-def]
    """How many are surely above, and how many too near to say. Without a branch, so that vectors are compared."""
    above = near = 0
    for passage in range(len(excess)):
        margin = _margin(products, excess, score, wanted, passage)
        above += margin > error
        near += abs(margin) <= error
    return above, near


@numba.njit(cache=True, forceinline=True)
def _margin(products, excess, score, wanted, passage):  # type: ignore[no-untyped-def]
    return products[passage] - score * excess[passage] - wanted

"""How many passages are above each judged one, under one strategy. Compiled."""

import numba
import numpy as np

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
        others = np.ones(len(excess), dtype=np.bool_)
        for passage in judged[offsets[query] : offsets[query + 1]]:  # compared with one another elsewhere
            others[passage] = False
        for pair in range(offsets[query], offsets[query + 1]):
            score = exact_score(queries[:, query], passages[:, judged[pair]], combine, chosen)
            wanted = score * typical - shift[query]
            error = rounding[query] + 2.0**-22 * (abs(wanted) + abs(score) * largest)
            exact[pair, 0], count = score, 0
            for passage in range(len(excess)):
                margin = products[query, passage] - score * excess[passage] - wanted
                if margin > error:
                    count += others[passage]
                elif margin >= -error and others[passage]:
                    again = exact_score(queries[:, query], passages[:, passage], combine, chosen)
                    count += again >= score - tie[query]
            above[pair, 0] = count

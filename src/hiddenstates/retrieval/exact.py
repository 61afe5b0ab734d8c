"""What float32 cannot decide, decided in float64: near ties, and judged passages among themselves. Compiled."""

import numba
import numpy as np

TIE = 1e-12  # cosines closer than this are equal


@numba.njit(cache=True, parallel=True)
def resolve(above, near, found, queries, passages, exact, ties):  # type: ignore[no-untyped-def]
    """Score the near passages of `count_above` again, and count those that are above or tied.

    exact, ties: [combine, subset, pair], the judged passage's score and the difference that counts as none
    """
    for query in numba.prange(len(found)):
        for n in range(found[query]):
            strategy, pair, passage = near[query, n]
            combine, subset = strategy & 1, strategy >> 1
            score = _score(queries[:, query], passages[:, passage], combine, subset)
            if score >= exact[combine, subset, pair] - ties[combine, subset, pair]:
                above[pair, strategy] += 1


@numba.njit(cache=True)
def _score(query, passage, combine, subset):  # type: ignore[no-untyped-def]
    n_layers, width = query.shape
    product = square = 0.0
    for d in range(width):
        q_sum = p_sum = 0.0
        for layer in range(n_layers):
            if subset >> layer & 1:
                q, p = np.float64(query[layer, d]), np.float64(passage[layer, d])
                if combine == 1:
                    product += q * p
                    square += p * p
                q_sum += q
                p_sum += p
        if combine == 0:
            product += q_sum * p_sum
            square += p_sum * p_sum
    return product / np.sqrt(square) if square > 0 else 0.0


@numba.njit(cache=True, parallel=True)
def count_judged(above, exact, ties, query_of, grade, offsets):  # type: ignore[no-untyped-def]
    """Among the judged passages of a query: above, or tied and less relevant (or as relevant, and listed before)."""
    for pair in numba.prange(len(query_of)):
        for other in range(offsets[query_of[pair]], offsets[query_of[pair] + 1]):
            if other == pair:
                continue
            loses_ties = grade[other] < grade[pair] or (grade[other] == grade[pair] and other < pair)
            for strategy in range(above.shape[1]):
                combine, subset = strategy & 1, strategy >> 1
                gap = exact[combine, subset, other] - exact[combine, subset, pair]
                tie = ties[combine, subset, pair]
                above[pair, strategy] += gap > tie or (loses_ties and gap >= -tie)

"""What float32 cannot decide, decided in float64: near ties, and judged passages among themselves. Compiled."""

import numba
import numpy as np

TIE = 1e-12  # cosines closer than this are equal


@numba.njit(cache=True, parallel=True)
def resolve(above, near, found, queries, passages, exact, ties):  # type: ignore[no-untyped-def]
    """Score the near passages of `count_above` again, and count those that are above or tied.

    exact, ties: [pair, strategy], the judged passage's score and the difference that counts as none
    """
    for query in numba.prange(len(found)):
        members = np.empty(len(queries), dtype=np.bool_)
        for n in range(found[query]):
            strategy, pair, passage = near[query, n]
            for layer in range(len(members)):
                members[layer] = strategy >> 1 + layer & 1
            score = exact_score(queries[:, query], passages[:, passage], strategy & 1, members)
            if score >= exact[pair, strategy] - ties[pair, strategy]:
                above[pair, strategy] += 1


@numba.njit(cache=True, fastmath={"reassoc", "contract"})
def exact_score(query, passage, combine, members):  # type: ignore[no-untyped-def]
    """Layer by layer, so that the dimensions become vector instructions; 0 where the passage has no length.

    members: whether each layer is in the set; combine: 0 sums them, 1 concatenates them
    """
    n_layers, width = query.shape
    product = square = 0.0
    q_sum, p_sum = np.zeros(width), np.zeros(width)
    last = -1
    for layer in range(n_layers):
        last = layer if members[layer] else last
    for layer in range(n_layers):
        if members[layer]:
            for d in range(width):
                q_sum[d] += query[layer, d]
                p_sum[d] += passage[layer, d]
            if combine == 1 or layer == last:  # concat multiplies after each layer, sum after the last
                for d in range(width):
                    product += q_sum[d] * p_sum[d]
                    square += p_sum[d] * p_sum[d]
                    q_sum[d] = p_sum[d] = 0.0
    return product / np.sqrt(square) if square > 0 else 0.0


@numba.njit(cache=True, parallel=True)
def count_judged(above, exact, ties, query_of, grade, offsets):  # type: ignore[no-untyped-def]
    """Among the judged passages of a query: above, or tied and less relevant (or as relevant, and listed before).

    One of grade minus infinity is not searched, and never counted.
    """
    for pair in numba.prange(len(query_of)):
        for other in range(offsets[query_of[pair]], offsets[query_of[pair] + 1]):
            if other == pair or grade[other] == -np.inf:
                continue
            loses_ties = grade[other] < grade[pair] or (grade[other] == grade[pair] and other < pair)
            for strategy in range(above.shape[1]):
                gap = exact[other, strategy] - exact[pair, strategy]
                tie = ties[pair, strategy]
                above[pair, strategy] += gap > tie or (loses_ties and gap >= -tie)

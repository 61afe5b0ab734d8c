"""For each query the passages near it, and the inner products of its hidden states with theirs.

Measures such as MRR@10 and nDCG@10 see a query's first passages only, so a set of states is nearly scored by ranking
what is near under some set. Products of all pairs of states are kept for these passages alone: they fit into memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hiddenstates.retrieval.ranks.gram import Pairs, Passages, Queries

NEAR = 256
"""Passages of a query, at most about so many: each hidden state alone brings its nearest, and so do all together."""

FEWEST = 5  # that each brings

ROOM = 1e9
"""Bytes of products. Where all queries would need more, some of them, drawn by a seed, guide the search."""

BLOCK = 256  # queries whose scores with all passages are in memory at once, or passages whose states are

Packed = Float64[np.ndarray, "product passage"]
"""Of each passage a symmetric matrix of states, its lower half: (i, j), i >= j, is product i (i + 1) / 2 + j."""


@dataclass(frozen=True)
class Near:
    """Some queries, their judged passages, and those near them.

    pairs:     the judged pairs, counted among these queries
    starts:    where each query's pairs begin, and the last's end
    passages:  rows of the passages near each query, the judged ones among them
    offsets:   where each query's passages begin, and the last's end
    judged:    where each pair's passage is among its query's
    products:  of each query with its passages, [product, passage], one query after the other
    norms:     the passages' products with themselves
    """

    pairs: Pairs
    starts: Int64[np.ndarray, " query_and_end"]
    passages: Int64[np.ndarray, " near"]
    offsets: Int64[np.ndarray, " query_and_end"]
    judged: Int64[np.ndarray, " pair"]
    products: Float32[np.ndarray, " near_product"]
    norms: Packed

    @classmethod
    def of(cls, queries: Queries, passages: Passages, pairs: Pairs, norms: Packed) -> "Near":
        """Of all these queries. norms: `packed_gram` of the passages"""
        starts = np.searchsorted(pairs.query, np.arange(queries.shape[1] + 1))
        rows, judged = [], []
        for query, found in enumerate(_nearest(queries, passages, norms)):
            mine, grade = (part[starts[query] : starts[query + 1]] for part in (pairs.passage, pairs.grade))
            rows.append(np.setdiff1d(np.union1d(found, mine), mine[np.isneginf(grade)]))
            judged.append(np.searchsorted(rows[-1], mine))
        sought = pairs.where(np.isfinite(pairs.grade))
        return cls(
            sought,
            np.searchsorted(sought.query, np.arange(queries.shape[1] + 1)),
            np.concatenate(rows),
            np.concatenate([[0], np.cumsum(list(map(len, rows)))]),
            np.concatenate(judged)[np.isfinite(pairs.grade)],
            _products(queries, passages, rows),
            norms,
        )


def guiding(n_queries: int, n_layers: int, seed: int) -> Int64[np.ndarray, " query"]:
    """The queries that guide a search: all of them, or as many as there is room for."""
    products = n_layers * (n_layers + 1) // 2
    most = int(ROOM / (4 * products * max(NEAR, FEWEST * n_layers)))
    if n_queries <= most:
        return np.arange(n_queries)
    return np.sort(np.random.default_rng(seed).choice(n_queries, max(most, 1), replace=False))


def packed_gram(states: Passages) -> Packed:
    """The inner products of each item's states with one another, in float64."""
    found = np.empty((len(states) * (len(states) + 1) // 2, states.shape[1]))
    lower = np.tril_indices(len(states))
    for first in range(0, states.shape[1], BLOCK):
        wide = states[:, first : first + BLOCK].astype(np.float64).transpose(1, 0, 2)
        found[:, first : first + BLOCK] = (wide @ wide.transpose(0, 2, 1))[:, *lower].T
    return found


def _nearest(queries: Queries, passages: Passages, norms: Packed) -> Iterator[Int64[np.ndarray, " near"]]:
    """The rows of the passages that are near each query, one query after the other."""
    layers = np.arange(len(passages))
    squares = norms[layers * (layers + 3) // 2]
    lengths = np.sqrt(np.where(squares > 0, squares, np.inf)).astype(np.float32)
    depth = min(max(NEAR // (len(passages) + 1), FEWEST), passages.shape[1])
    for first in range(0, queries.shape[1], BLOCK):
        block = queries[:, first : first + BLOCK]
        together = np.zeros((block.shape[1], passages.shape[1]), dtype=np.float32)
        found = []
        for layer, asked in enumerate(block):
            unit = asked / np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), np.float32(1e-30))
            cosines = (unit @ passages[layer].T) / lengths[layer]
            together += cosines
            found.append(_top(cosines, depth))
        yield from map(np.unique, np.hstack([*found, _top(together, depth)]))


def _top(scores: Float32[np.ndarray, "query passage"], depth: int) -> Int64[np.ndarray, "query near"]:
    return np.argpartition(-scores, depth - 1, axis=1)[:, :depth]


def _products(
    queries: Queries, passages: Passages, rows: Sequence[Int64[np.ndarray, " _"]]
) -> Float32[np.ndarray, " near_product"]:
    """Halves of <q_i, p_j> + <q_j, p_i>: with each counted twice but on the diagonal, a set's product."""
    n_layers, _, width = passages.shape
    lower = np.tril_indices(n_layers)
    found, done = np.empty(len(lower[0]) * sum(map(len, rows)), dtype=np.float32), 0
    for query, near in enumerate(rows):
        states = passages[:, near].reshape(-1, width)
        both = (queries[:, query] @ states.T).reshape(n_layers, n_layers, len(near))
        part = found[done : done + len(lower[0]) * len(near)].reshape(len(lower[0]), len(near))
        part[:] = (both[lower] + both[lower[::-1]]) / 2
        done += part.size
    return found

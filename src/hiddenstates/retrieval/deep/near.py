"""For each query the passages near it, and the inner products of its hidden states with theirs.

Measures such as MRR@10 and nDCG@10 see a query's first passages only, so a set of states is nearly scored by ranking
what is near under some set. Products of all pairs of states are kept for these passages alone: they fit into memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hiddenstates.retrieval.gram import Pairs, Passages, Queries

NEAREST = 20
"""Passages that each hidden state alone, and all of them together, bring to a query."""

ROOM = 1e9
"""Bytes of products. Where all queries would need more, some of them, drawn by a seed, guide the search."""

BLOCK = 256  # queries whose scores with all passages are in memory at once

Packed = Float64[np.ndarray, "passage product"]
"""Of each passage a symmetric matrix of states, its lower half: (i, j), i >= j, is product i (i + 1) / 2 + j."""


@dataclass(frozen=True)
class Near:
    """Some queries, their judged passages, and those near them.

    pairs:     the judged pairs, counted among these queries
    starts:    where each query's pairs begin, and the last's end
    passages:  rows of the passages near each query, the judged ones among them
    offsets:   where each query's passages begin, and the last's end
    judged:    where each pair's passage is among its query's
    products:  of each query with its passages, [product, passage], one query after the other; passages centred
    constants: what centring took away, of each query
    norms:     the passages' products with themselves
    """

    pairs: Pairs
    starts: Int64[np.ndarray, " query_and_end"]
    passages: Int64[np.ndarray, " near"]
    offsets: Int64[np.ndarray, " query_and_end"]
    judged: Int64[np.ndarray, " pair"]
    products: Float32[np.ndarray, " near_product"]
    constants: Float64[np.ndarray, "query product"]
    norms: Packed

    @classmethod
    def of(
        cls, queries: Queries, passages: Passages, pairs: Pairs, norms: Packed, means: Float64[np.ndarray, "layer d"]
    ) -> "Near":
        """Of all these queries. norms, means: `packed_gram` and the mean of the passages."""
        lengths = np.sqrt(np.maximum(norms, 0)).astype(np.float32)
        found = _nearest(queries, passages, lengths[:, _diagonal(len(passages))])
        starts = np.searchsorted(pairs.query, np.arange(queries.shape[1] + 1))
        rows, judged = [], []
        for query, near in enumerate(found):
            mine = slice(starts[query], starts[query + 1])
            hidden = pairs.passage[mine][np.isneginf(pairs.grade[mine])]
            kept = np.union1d(np.setdiff1d(near, hidden), np.setdiff1d(pairs.passage[mine], hidden))
            rows.append(kept)
            judged.append(np.searchsorted(kept, pairs.passage[mine]))
        sought = np.isfinite(pairs.grade)
        offsets = np.concatenate([[0], np.cumsum(list(map(len, rows)))])
        wanted = pairs.where(sought)
        products = np.empty(offsets[-1] * norms.shape[1], dtype=np.float32)
        for query, near in enumerate(rows):
            part = slice(offsets[query] * norms.shape[1], offsets[query + 1] * norms.shape[1])
            products[part] = _products(queries[:, query], passages[:, near], means).ravel()
        means_too = np.stack([_packed(states.astype(np.float64) @ means.T) for states in queries.transpose(1, 0, 2)])
        return cls(
            wanted,
            np.searchsorted(wanted.query, np.arange(queries.shape[1] + 1)),
            np.concatenate(rows),
            offsets,
            np.concatenate(judged)[sought],
            products,
            means_too,
            norms,
        )


def guiding(n_queries: int, n_layers: int, seed: int) -> Int64[np.ndarray, " query"]:
    """The queries that guide a search: all of them, or as many as there is room for."""
    products = n_layers * (n_layers + 1) // 2
    most = int(ROOM / (4 * products * NEAREST * (n_layers + 1) / 2))  # half of what is near is near under two states
    if n_queries <= most:
        return np.arange(n_queries)
    return np.sort(np.random.default_rng(seed).choice(n_queries, max(most, 1), replace=False))


def packed_gram(states: Passages) -> Packed:
    """The inner products of each item's states with one another, in float64."""
    found = np.empty((states.shape[1], len(states) * (len(states) + 1) // 2))
    lower = np.tril_indices(len(states))
    for first in range(0, states.shape[1], BLOCK):
        wide = states[:, first : first + BLOCK].astype(np.float64).transpose(1, 0, 2)
        found[first : first + BLOCK] = (wide @ wide.transpose(0, 2, 1))[:, *lower]
    return found


def _diagonal(n_layers: int) -> Int64[np.ndarray, " layer"]:
    """Where each state's product with itself is."""
    layers = np.arange(n_layers)
    return layers * (layers + 3) // 2


def _nearest(
    queries: Queries, passages: Passages, lengths: Float32[np.ndarray, "passage layer"]
) -> Iterator[Int64[np.ndarray, " near"]]:
    """The rows of the passages that are near each query, one query after the other."""
    depth = min(NEAREST, passages.shape[1])
    safe = np.where(lengths > 0, lengths, np.inf)
    for first in range(0, queries.shape[1], BLOCK):
        block = queries[:, first : first + BLOCK]
        together = np.zeros((block.shape[1], passages.shape[1]), dtype=np.float32)
        found = []
        for layer, asked in enumerate(block):
            unit = asked / np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), np.float32(1e-30))
            cosines = (unit @ passages[layer].T) / safe[:, layer]
            together += cosines
            found.append(_top(cosines, depth))
        yield from map(np.unique, np.hstack([*found, _top(together, depth)]))


def _top(scores: Float32[np.ndarray, "query passage"], depth: int) -> Int64[np.ndarray, "query near"]:
    return np.argpartition(-scores, depth - 1, axis=1)[:, :depth]


def _products(
    query: Float32[np.ndarray, "layer d"], passages: Float32[np.ndarray, "layer near d"], means: np.ndarray
) -> Float32[np.ndarray, "product near"]:
    """Halves of <q_i, p_j> + <q_j, p_i>: with each counted twice but on the diagonal, a set's product."""
    n_layers, n_near, width = passages.shape
    centred = (passages - means[:, None]).astype(np.float32).reshape(-1, width)
    both = (query @ centred.T).reshape(n_layers, n_layers, n_near)
    lower = np.tril_indices(n_layers)
    return (both[lower] + both[lower[::-1]]) / 2


def _packed(matrix: np.ndarray) -> Float64[np.ndarray, " product"]:
    lower = np.tril_indices(len(matrix))
    return (matrix[lower] + matrix.T[lower]) / 2

"""What a space of vectors looks like before any question is asked of it."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int

from hiddenstates.core.files import let_go

States = Float32[np.ndarray, "layer item d_model"]
Vectors = Float32[np.ndarray, "item width"]
PAIRS = 10_000


def lengths(states: States) -> Float[np.ndarray, " layer"]:
    """The mean Euclidean length of the vectors of each layer."""
    return np.array([np.linalg.norm(layer, axis=-1).mean() for layer in one_by_one(states)])


def crowding(states: States, seed: int = 0) -> Float[np.ndarray, " layer"]:
    """The mean cosine of two different items drawn at random, for each layer (Ethayarajh 2019, self-similarity).

    Estimated from `PAIRS` pairs; 1 for a layer whose vectors all point the same way.
    """
    n = states.shape[1]
    random = np.random.default_rng(seed)
    first = random.integers(n, size=PAIRS)
    second = (first + random.integers(1, n, size=PAIRS)) % n
    every = map(units, one_by_one(states))
    return np.array([np.einsum("nd,nd->n", layer[first], layer[second]).mean() for layer in every])


def alignment(states: States) -> Float[np.ndarray, "layer layer"]:
    """Linear centred kernel alignment of every two layers, between 0 and 1 (Kornblith et al. 2019, eq. 3)."""
    cross = np.zeros((len(states), len(states)))
    for i, first in enumerate(map(_centred, states)):
        for j, second in enumerate(map(_centred, one_by_one(states[: i + 1]))):
            cross[i, j] = cross[j, i] = np.linalg.norm(first.T @ second) ** 2
    own = np.sqrt(np.maximum(np.diag(cross), np.finfo(np.float64).tiny))
    return cross / np.outer(own, own)


def one_by_one(states: States) -> Iterator[Vectors]:
    """Each layer; of states on disk no more than one is in memory."""
    for layer in states:
        yield layer
        let_go(layer)


def _centred(layer: Vectors) -> Float64[np.ndarray, "item width"]:
    return (layer - layer.mean(0)).astype(np.float64)


def units(vectors: Vectors) -> Vectors:
    """Each vector at length 1; the zero vector stays."""
    scale = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(scale > 0, scale, 1)


def nearest_alone(
    queries: Float32[np.ndarray, "query width"], items: Vectors, right: Int[np.ndarray, " query"]
) -> Bool[np.ndarray, " query"]:
    """Whether no item but the right one has so large an inner product with the query. A tie is not found."""
    scores = queries @ items.T  # [query, item]
    own = scores[np.arange(len(scores)), right]
    return (scores >= own[:, None]).sum(1) == 1

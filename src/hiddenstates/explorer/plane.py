"""Passages in two dimensions, by their principal components, and how much of their neighbourhoods that keeps."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from sklearn.decomposition import PCA

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.embeddings.whitening import varies

DRAWN = 2000
"""Passages on a map at most."""

NEIGHBOURS = 10
ASKED = 200  # of the drawn passages, so many whose neighbours are compared
FEWEST = 3

Vectors = Float32[np.ndarray, "item width"]
Places = Float[np.ndarray, "item 2"]


@dataclass(frozen=True, eq=False)
class Plane:
    """Two principal components of some passages' vectors (Pearson 1901).

    rows:   of the passages that were drawn, among all
    places: of these
    shares: of the variance, that either axis has
    kept:   of a passage's nearest ones among those drawn, the share that is nearest on the plane, too: in the mean
    of:     so many nearest ones
    """

    rows: Int[np.ndarray, " item"]
    places: Places
    shares: tuple[float, float]
    kept: float
    of: int
    project: Callable[[Vectors], Places]


def plane_of(vectors: Vectors, drawn: int = DRAWN, seed: int = 0) -> Plane:
    """Of the vectors of all passages; the same for every question. LabError where there is nothing to draw."""
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(vectors))[:drawn])
    some = np.ascontiguousarray(vectors[rows])
    if len(some) < FEWEST or not varies(some) or some.shape[1] < 2:
        raise LabError("map: these vectors do not differ, or there are not three of them, so no plane shows them.")
    pca = PCA(2, svd_solver="randomized", random_state=seed).fit(some)
    places = pca.transform(some)
    asked = np.sort(random.permutation(len(some))[:ASKED])
    of = min(NEIGHBOURS, len(some) - 1)
    kept = (nearest(some, asked, of) & nearest(places, asked, of)).sum() / (of * len(asked))
    return Plane(rows, places, tuple(pca.explained_variance_ratio_.tolist()), float(kept), of, pca.transform)


def nearest(
    vectors: Float[np.ndarray, "item width"], asked: Int[np.ndarray, " row"], n: int
) -> Bool[np.ndarray, "row item"]:
    """Which n others are nearest to each of these rows, by distance: of vectors of length 1, by the cosine."""
    squares = np.square(vectors).sum(1)
    distances = squares - 2 * vectors[asked] @ vectors.T  # + the asked one's own square, which orders nothing
    distances[np.arange(len(asked)), asked] = np.inf
    found = np.zeros(distances.shape, dtype=bool)
    np.put_along_axis(found, np.argpartition(distances, n - 1, axis=1)[:, :n], True, axis=1)
    return found

"""One score of a cosine and BM25."""

import numpy as np


def fuse(cosines: np.ndarray, bm25: np.ndarray, weight: float) -> np.ndarray:
    """weight · cosine + (1 − weight) · BM25 / the query's best BM25, of each passage (last axis).

    BM25 has no upper bound; divided by its best, it weighs alike for short queries and long ones. A query that shares
    no word with any passage goes by the cosine alone.
    """
    best = bm25.max(-1, keepdims=True, initial=0.0)
    scaled = np.divide(bm25, best, out=np.zeros(bm25.shape), where=best > 0)
    found: np.ndarray = weight * cosines + (1 - weight) * scaled
    return found

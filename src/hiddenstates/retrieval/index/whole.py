"""Whole lists: the score of every passage for each query, on disk, however many passages there are.

On one thread, so that what is joined from them does not depend on how many there are.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from hiddenstates.core.files import let_go, on_disk
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.retrieval.index.bundle import IndexBundle
from hiddenstates.retrieval.index.stored import parts

SCORES_ASKED = 2**23
"""So many scores are asked of an index at once; with the rows they are of, 100 MB."""

Scores = Float32[np.ndarray, "query passage"]


@one_thread()
def whole_scores(bundle: IndexBundle, queries: Embeddings, folder: Path | None) -> Scores:
    """What the index gives each passage, larger is better; NaN where it did not look, as in cells that it leaves out.

    folder: for the file that holds them while they are read
    """
    bundle.check(queries)
    found = on_disk((len(queries.ids), len(bundle.ids)), folder)
    found[:] = np.nan
    for first, part in parts(bundle.index):
        step = max(1, SCORES_ASKED // max(1, part.ntotal))
        for start in range(0, len(found), step):
            scores, rows = part.search(queries.vectors[start : start + step], part.ntotal)
            query, place = np.nonzero(rows >= 0)
            signed = -scores if bundle.metric == "euclidean" else scores
            found[start + query, first + rows[query, place]] = signed[query, place]
        let_go(found)
    return found


@one_thread()
def products(
    queries: Float32[np.ndarray, "query width"], vectors: Iterable[np.ndarray], n: int, folder: Path | None
) -> Scores:
    """The inner product of each query with each of `n` vectors, which come in parts. folder: as for `whole_scores`"""
    found, first = on_disk((len(queries), n), folder), 0
    for part in vectors:
        found[:, first : first + len(part)] = queries @ part.T
        first += len(part)
        let_go(found)
    return found

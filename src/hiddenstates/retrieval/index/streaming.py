"""Exact search of embeddings in shards, one of which is in memory at a time."""

from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np

from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Run
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.sharding.sharded import shard_paths
from hiddenstates.encoding.sharding.shards import about, load_embeddings


def search_shards(folder: Path, queries: Embeddings, depth: int) -> Run:
    """The `depth` best passages of each query by the inner product, the cosine of vectors of length 1.

    folder: where `encode_sharded` left the passages. LabError for queries of another model or strategy
    """
    paths = shard_paths(folder)
    best = faiss.ResultHeap(len(queries.ids), depth, keep_max=True)
    starts = [0]
    for path in paths:
        part = alike(queries, load_embeddings(path))
        if part.ids:
            found, rows = faiss.knn(
                queries.vectors, part.vectors, min(depth, len(part.ids)), faiss.METRIC_INNER_PRODUCT
            )
            best.add_result(found, rows + starts[-1])
        starts.append(starts[-1] + len(part.ids))
    best.finalize()
    names = dict(_names(paths, starts, np.unique(best.I[best.I >= 0])))
    found_of = zip(queries.ids, best.I.tolist(), best.D.tolist(), strict=True)
    return Run({q: {names[i]: s for i, s in zip(at, scores, strict=True) if i >= 0} for q, at, scores in found_of})


def _names(paths: list[Path], starts: list[int], rows: np.ndarray) -> Iterator[tuple[int, str]]:
    """The passage in each of these rows, in order; the ids of one shard in memory."""
    parts = np.split(rows, np.searchsorted(rows, starts[1:-1]))
    for path, first, here in zip(paths, starts, parts, strict=False):  # starts has the end, too
        ids = about(path)["ids"] if len(here) else []
        yield from ((row, ids[row - first]) for row in here.tolist())


def alike(queries: Embeddings, part: Embeddings) -> Embeddings:
    """The part of the passages' embeddings. LabError unless queries of this making can be compared with it."""
    made = (queries.fingerprint, str(queries.strategy))
    if made != (part.fingerprint, str(part.strategy)):
        raise LabError(
            f"shards: embeddings by {part.strategy} of model {part.fingerprint}, the queries are by "
            f"{queries.strategy} of {queries.fingerprint}. Encode both alike."
        )
    return part

"""Words beside an index's vectors: the search of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.retrieval.bm25 import Language, Words, WordSearch, fuse
from hiddenstates.retrieval.index.stored import parts

REACH = 10_000
"""So many passages each side brings: of no more than these, every one is scored."""


def words_of(ids: Sequence[str], kb: KnowledgeBase, language: Language | None) -> Words:
    """The words of these passages, in this order."""
    place = {id: i for i, id in enumerate(kb.ids)}
    unknown = [id for id in ids if id not in place]
    if unknown:
        raise LabError(f"index: {unknown[0]!r} is no passage of the knowledge base. Give the one that was embedded.")
    kept = kb.passages.select([place[id] for id in ids])
    return Words.of(KnowledgeBase(kept, kb.images, kb.revision), language)


@dataclass(frozen=True)
class Beside:
    """Words to stand beside the vectors of these passages.

    weight: of the cosine, between 0 and 1; language: as in `Words`
    """

    kb: KnowledgeBase
    weight: float
    language: Language | None = "english"

    @property
    def said(self) -> dict[str, Any]:
        """What a manifest says of them."""
        return {"weight": self.weight, "language": self.language}


def check_beside(metric: str, weight: float) -> None:
    """LabError unless words can stand beside vectors that are compared so."""
    if metric != "cosine" or not 0 < weight < 1:
        raise LabError(f"index: words stand beside a cosine under a weight between 0 and 1, not {weight}.")


@dataclass(frozen=True)
class Asked:
    """Queries. own: ids of the passages that they are themselves, one for each query; empty: they are none"""

    vectors: Float32[np.ndarray, "query width"]
    texts: Sequence[str]
    own: Sequence[str]

    def part(self, some: slice) -> "Asked":
        """These of the queries."""
        return Asked(self.vectors[some], self.texts[some], self.own[some])


def best_of_both(index: Any, words: WordSearch, weight: float, asked: Asked, depth: int) -> list[dict[str, float]]:
    """The `depth` best passages of each query, and their scores, among those that vectors or words bring, `REACH` each.

    A passage that only the words bring is compared by its stored vector; of an index that cannot give that back, it
    counts as no nearer than the farthest that was found.
    """
    parts = (asked.part(some) for some in words.batches(len(asked.texts)))
    return [row for part in parts for row in _best_of_some(index, words, weight, part, depth)]


def _best_of_some(index: Any, words: WordSearch, weight: float, asked: Asked, depth: int) -> list[dict[str, float]]:
    near, rows = index.search(asked.vectors, min(REACH, len(words.ids)))
    worded, known = words.best(asked.texts, REACH, asked.own, rows)
    told = zip(asked.vectors, rows, near, known, worded.rows, worded.scores, strict=True)
    found = [_offered(index, vector, at, cosines, bm25, *more) for vector, at, cosines, bm25, *more in told]
    return [_best(words.ids, weight, *offered, depth) for offered in found]


def _offered(
    index: Any,
    vector: np.ndarray,
    found: Int64[np.ndarray, " found"],
    near: Float32[np.ndarray, " found"],
    known: Float32[np.ndarray, " found"],
    worded: Int64[np.ndarray, " worded"],
    bm25: Float32[np.ndarray, " worded"],
) -> tuple[Int64[np.ndarray, " offered"], Float64[np.ndarray, " offered"], Float64[np.ndarray, " offered"]]:
    """The rows that vectors or words bring, with the cosine and the BM25 of each."""
    there = found >= 0  # the cells that were searched may hold no more
    further = np.setdiff1d(worded, found[there])
    cosines = np.concatenate([near[there], _compared(index, vector, further, float(near[there].min(initial=1.0)))])
    places = np.argsort(worded)
    scores = bm25[places[np.searchsorted(worded, further, sorter=places)]]
    rows = np.concatenate([found[there], further])
    return rows, cosines.astype(np.float64), np.concatenate([known[there], scores]).astype(np.float64)


def _best(
    ids: Sequence[str], weight: float, rows: np.ndarray, cosines: np.ndarray, bm25: np.ndarray, depth: int
) -> dict[str, float]:
    scores = fuse(cosines, bm25, weight)  # the query's best BM25 is among those that the words bring
    best = np.argsort(-scores, kind="stable")[:depth]
    return {ids[rows[i]]: float(scores[i]) for i in best.tolist()}


def _compared(index: Any, vector: np.ndarray, rows: np.ndarray, farthest: float) -> np.ndarray:
    """The cosines of these ascending rows; that of the farthest, where the index cannot give their vectors back."""
    found = []
    try:
        for first, part in parts(index):
            here = rows[(first <= rows) & (rows < first + part.ntotal)] - first
            found += [part.reconstruct(row) @ vector for row in here.tolist()]
        return np.array(found, dtype=np.float32)
    except RuntimeError:  # faiss: not implemented, or a direct map is missing
        return np.full(len(rows), farthest, dtype=np.float32)

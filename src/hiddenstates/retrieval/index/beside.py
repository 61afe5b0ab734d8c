"""Words beside an index's vectors: the search of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.retrieval.bm25 import SCORES, Language, Words, fuse

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
class Asked:
    """Queries. own: ids of the passages that they are themselves, one for each query; empty: they are none"""

    vectors: Float32[np.ndarray, "query width"]
    texts: Sequence[str]
    own: Sequence[str]

    def part(self, some: slice) -> "Asked":
        """These of the queries."""
        return Asked(self.vectors[some], self.texts[some], self.own[some])


def best_of_both(index: Any, words: Words, weight: float, asked: Asked, depth: int) -> list[dict[str, float]]:
    """The `depth` best passages of each query, and their scores, among those that vectors or words bring, `REACH` each.

    A passage that only the words bring is compared by its stored vector; of an index that cannot give that back, it
    counts as no nearer than the farthest that was found.
    """
    at_once = max(1, SCORES // max(1, len(words.ids)))
    parts = (asked.part(slice(first, first + at_once)) for first in range(0, len(asked.texts), at_once))
    return [row for part in parts for row in _best_of_some(index, words, weight, part, depth)]


def _best_of_some(index: Any, words: Words, weight: float, asked: Asked, depth: int) -> list[dict[str, float]]:
    near, rows = index.search(asked.vectors, min(REACH, len(words.ids)))
    rare = words.without(asked.own, words.scores(asked.texts)).astype(np.float64)
    return [
        _best(index, words.ids, weight, vector, found[found >= 0], cosines[found >= 0], bm25, depth)
        for vector, found, cosines, bm25 in zip(asked.vectors, rows, near, rare, strict=True)
    ]


def _best(
    index: Any,
    ids: Sequence[str],
    weight: float,
    vector: np.ndarray,
    found: Int64[np.ndarray, " found"],
    near: Float32[np.ndarray, " found"],
    bm25: np.ndarray,
    depth: int,
) -> dict[str, float]:
    cosines = np.full(len(ids), near.min(initial=1.0))
    cosines[found] = near
    worded = np.argsort(-bm25, kind="stable")[:REACH]
    further = np.setdiff1d(worded[bm25[worded] > 0], found)
    _compare(index, vector, further, cosines)
    offered = np.concatenate([found, further])
    scores = fuse(cosines, bm25, weight)[offered]
    best = np.argsort(-scores, kind="stable")[:depth]
    return {ids[offered[i]]: float(scores[i]) for i in best}


def _compare(index: Any, vector: np.ndarray, rows: np.ndarray, cosines: np.ndarray) -> None:
    """Set the cosines of these rows, where the index can give their vectors back."""
    try:
        for row in rows.tolist():
            cosines[row] = index.reconstruct(row) @ vector
    except RuntimeError:  # faiss: not implemented, or a direct map is missing
        return

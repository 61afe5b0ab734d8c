"""What no index takes: vectors without a direction, passages that are no longer what was embedded."""

import json
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.encoding.embeddings.pooled import Embeddings

UNIT = 1e-3
"""How far the square of a length may be from 1: float32 rounds at 1e-6, bfloat16 does not come near."""


def check_vectors(embeddings: Embeddings, unit: bool) -> None:
    """LabError for NaN, infinity, a vector of length 0; with `unit`, for one that is not of length 1."""
    squares = np.vecdot(embeddings.vectors, embeddings.vectors)
    low, high = (1 - UNIT, 1 + UNIT) if unit else (0.0, np.inf)
    if all(low < square < high for square in squares.tolist()):  # of a single query, a third of numpy's time
        return
    _refuse(embeddings, ~np.isfinite(squares), "hold NaN or infinity", "faiss would never find them")
    _refuse(embeddings, squares == 0, "have length 0", "they have no direction: check what was embedded")
    _refuse(embeddings, abs(squares - 1) >= UNIT, "are not of length 1", "drop +raw, or choose another metric")


def row_hashes(kb: KnowledgeBase) -> dict[str, str]:
    """Passage id -> 16 hex digits that pin its row, every column. An image is pinned by its name only."""
    columns = sorted(kb.passages.column_names)
    rows = zip(*(kb.passages[column][:] for column in columns), strict=True)
    return {
        id: blake2b(json.dumps(row).encode(), digest_size=8).hexdigest() for id, row in zip(kb.ids, rows, strict=True)
    }


def check_rows(pinned: Mapping[str, str], found: Mapping[str, str]) -> None:
    """LabError unless every pinned passage is found as it was. Both: passage id -> hash of its row."""
    gone = [id for id in pinned if id not in found]
    changed = [id for id, row in pinned.items() if found.get(id, row) != row]
    if gone or changed:
        raise LabError(
            f"index: of its {len(pinned)} passages {len(gone)} are gone from the knowledge base and {len(changed)} "
            f"have changed, first {[*gone, *changed][0]!r}. An index takes passages in, never back: build it again."
        )


def _refuse(embeddings: Embeddings, bad: np.ndarray, fault: str, remedy: str) -> None:
    if bad.any():
        first = embeddings.ids[int(bad.argmax())]
        raise LabError(f"index: {int(bad.sum())} vector(s) {fault}, first {first!r}: {remedy}.")

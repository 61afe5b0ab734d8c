"""Embeddings to build an index of, at random or by hand, and passages that they may be of."""

from pathlib import Path

import numpy as np

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import Embeddings

UNIT, RAW = Strategy.parse("2/mean"), Strategy.parse("2/mean+raw")


def embeddings(n: int, seed: int = 0, strategy: Strategy = UNIT, name: str = "p") -> Embeddings:
    vectors = np.random.default_rng(seed).standard_normal((n, 16)).astype("float32")
    if strategy.normalize:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings([f"{name}{i}" for i in range(n)], vectors, strategy, "abc")


def by_hand(vectors: list[list[float]], strategy: Strategy = RAW) -> Embeddings:
    return Embeddings(list("abcde")[: len(vectors)], np.array(vectors, dtype="float32"), strategy, "abc")


def knowledge(ids: list[str], **changed: str) -> KnowledgeBase:
    """A passage per id; changed: the text of some."""
    rows = [{"id": id, "title": id.upper(), "text": changed.get(id, f"About {id}.")} for id in ids]
    return KnowledgeBase(table(rows, PASSAGE_COLUMNS), Path("images"), "toy@1")


PASSAGES = embeddings(200)
QUERIES = embeddings(20, seed=1, name="q")

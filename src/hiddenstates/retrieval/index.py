"""`IndexBundle`: a FAISS index that knows what its vectors are. The one door to faiss."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import sha256
from hiddenstates.core.relevance import Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.pooled import Embeddings

Metric = Literal["cosine", "inner product", "euclidean"]
_FAISS = {
    "cosine": faiss.METRIC_INNER_PRODUCT,
    "inner product": faiss.METRIC_INNER_PRODUCT,
    "euclidean": faiss.METRIC_L2,
}


@dataclass(frozen=True)
class IndexBundle:
    """An index with the ids of its rows and what made its vectors; it refuses a query that does not match."""

    index: Any
    ids: list[str]
    strategy: Strategy
    fingerprint: str
    metric: Metric

    def search(self, queries: Embeddings, depth: int) -> Run:
        """The `depth` best passages of each query; larger scores are better."""
        self._check(queries)
        scores, rows = self.index.search(queries.vectors, min(depth, len(self.ids)))
        if self.metric == "euclidean":
            scores = -scores  # larger is better, always
        found = zip(queries.ids, scores, rows, strict=True)
        return Run({q: {self.ids[r]: float(s) for s, r in zip(ss, rr, strict=True) if r >= 0} for q, ss, rr in found})

    def save(self, folder: Path) -> None:
        """index.faiss, and index.json with the rest and the first file's hash."""
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(self.index, str(folder / "index.faiss"))
        about = {
            "strategy": str(self.strategy),
            "fingerprint": self.fingerprint,
            "metric": self.metric,
            "sha256": sha256(folder / "index.faiss"),
            "ids": self.ids,
        }
        (folder / "index.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "IndexBundle":
        """What `save` wrote. Refuses an index whose file is not the one that index.json describes."""
        try:
            about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            if sha256(folder / "index.faiss") != about["sha256"]:
                raise LabError(
                    f"{folder / 'index.faiss'} is not the file that index.json describes. Build the index again."
                )
            index = faiss.read_index(str(folder / "index.faiss"))
            return cls(index, about["ids"], Strategy.parse(about["strategy"]), about["fingerprint"], about["metric"])
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise LabError(f"{folder}: no index can be read from it ({error}). Build the index again.") from error

    def _check(self, queries: Embeddings) -> None:
        if queries.fingerprint != self.fingerprint:
            raise LabError(f"index: its vectors are of model {self.fingerprint}, the queries of {queries.fingerprint}.")
        if queries.strategy != self.strategy:
            raise LabError(f"index: its vectors were made by {self.strategy}, the queries by {queries.strategy}.")
        _finite(queries)


def build_index(embeddings: Embeddings, factory: str = "Flat", metric: Metric = "cosine") -> IndexBundle:
    """An index of these embeddings.

    factory: a faiss index_factory string; Flat searches exactly
    metric:  the cosine needs a strategy that normalizes; a Euclidean score is the negative squared distance
    """
    _finite(embeddings)
    if not embeddings.ids:
        raise LabError("index: there is nothing to index. Give it at least one passage.")
    if metric == "cosine" and not embeddings.strategy.normalize:
        raise LabError(
            f"index: the vectors of {embeddings.strategy} are not of length 1. Drop +raw, or choose another metric."
        )
    n, width = embeddings.vectors.shape
    try:
        index = faiss.index_factory(width, factory, _FAISS[metric])
        index.train(embeddings.vectors)
    except RuntimeError as error:
        reason = str(error).rpartition(": ")[2]  # what stands before is the place in faiss's sources
        raise LabError(
            f"index.factory: faiss cannot make {factory!r} of {n} vectors of {width} dimensions ({reason}). "
            "Write Flat, HNSW32 or IVF64,Flat, say."
        ) from error
    index.add(embeddings.vectors)
    return IndexBundle(index, embeddings.ids, embeddings.strategy, embeddings.fingerprint, metric)


def agreement(found: Run, passages: Embeddings, queries: Embeddings, depth: int) -> float:
    """recall@depth against exact search: the share of the true nearest neighbours that were found."""
    exact = build_index(passages, "Flat").search(queries, depth)
    shared = [len(set(exact[query]) & set(found[query])) for query in exact]
    return sum(shared) / sum(len(exact[query]) for query in exact)


def _finite(embeddings: Embeddings) -> None:
    bad = ~np.isfinite(embeddings.vectors).all(axis=1)
    if bad.any():
        first = embeddings.ids[int(bad.argmax())]
        raise LabError(
            f"index: {int(bad.sum())} vector(s) hold NaN or infinity, first {first!r}. faiss would never find them."
        )

"""`IndexBundle`: a FAISS index, the ids of its rows, and what made its vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import faiss

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import sha256, whole_folder
from hiddenstates.core.joined import AnyStrategy, parse
from hiddenstates.core.relevance import Run
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.retrieval.bm25 import Language, StoredWords, Words
from hiddenstates.retrieval.index.beside import Asked, best_of_both, check_beside, words_of
from hiddenstates.retrieval.index.checks import check_rows, check_vectors, row_hashes
from hiddenstates.retrieval.index.stored import (
    IDS,
    WORDS,
    WORDS_PART,
    StoredIds,
    open_index,
    read_manifest,
    write_index,
    write_manifest,
    writing,
)

Metric = Literal["cosine", "inner product", "euclidean"]

# From so many queries on, one matrix product is faster than one query after the other: at 30,000 vectors 3 to 5 times
# from 16 on (benchmarks/search.py). It was faiss's own threshold; version 1.15 sets 128,000.
faiss.cvar.distance_compute_blas_threshold = 20


@dataclass(frozen=True)
class IndexBundle:
    """An index with the ids of its rows and what made its vectors; it refuses what does not match.

    factory: what made the index, placeholders filled in; as for `build_index`
    rows:    passage id -> hash of its row, in the order of the index; no hashes where no knowledge base was given
    words:   of its passages, for searches that ask by the text, too (`with_words`, or of a large index `build_large`);
             none: by vectors alone
    weight:  of the cosine beside the words
    """

    index: Any
    ids: Sequence[str]
    strategy: AnyStrategy
    fingerprint: str
    metric: Metric
    factory: str
    rows: dict[str, str] | None = None
    words: Words | StoredWords | None = None
    weight: float = 1.0

    @property
    def width(self) -> int:
        """The dimensions of its vectors."""
        return int(self.index.d)

    def search(
        self,
        queries: Embeddings,
        depth: int,
        texts: Sequence[str] | None = None,
        ignore_identical_ids: bool = False,
    ) -> Run:
        """The `depth` best passages of each query; larger scores are better.

        texts: of the queries, to ask by their words, too, under the bundle's weight
        ignore_identical_ids: with texts, a passage under the query's own id has no words in common with it
        """
        self.check(queries)
        if texts is not None:
            words = self._asked_words()
            asked = Asked(queries.vectors, texts, queries.ids if ignore_identical_ids else [])
            rows = best_of_both(self.index, words, self.weight, asked, depth)
            return Run(dict(zip(queries.ids, rows, strict=True)))
        scores, rows = self.index.search(queries.vectors, min(depth, len(self.ids)))
        if self.metric == "euclidean":
            scores = -scores  # larger is better, always
        found = zip(queries.ids, rows.tolist(), scores.tolist(), strict=True)
        return Run({query: self._named(places, values) for query, places, values in found})

    def with_words(self, kb: KnowledgeBase, weight: float, language: Language | None = "english") -> "IndexBundle":
        """The bundle with the words of its passages beside the vectors.

        weight: of the cosine, between 0 and 1, as by `choose_weight`; language: as in `Words`
        """
        self.check_in_memory()
        check_beside(self.metric, weight)
        return replace(self, words=words_of(self.ids, kb, language), weight=weight)

    def _asked_words(self) -> Words | StoredWords:
        if self.words is None:
            raise LabError(
                "index: it has no words. Give it those of its passages (`with_words`), or ask without texts."
            )
        return self.words

    def check(self, embeddings: Embeddings) -> None:
        """LabError for vectors that it must not be asked with, nor given: of another making, or without direction."""
        if embeddings.fingerprint != self.fingerprint:
            raise LabError(
                f"index: its vectors are of model {self.fingerprint}, these of {embeddings.fingerprint}. "
                "Embed with the model that it was built with, or build it again."
            )
        if embeddings.strategy != self.strategy:
            raise LabError(
                f"index: its vectors were made by {self.strategy}, these by {embeddings.strategy}. "
                "Embed by the strategy that it was built with, or build it again."
            )
        if embeddings.vectors.shape[1] != self.width:
            raise LabError(
                f"index: its vectors have {self.width} dimensions, these {embeddings.vectors.shape[1]}. "
                "Embed as it was built, or build it again."
            )
        check_vectors(embeddings, unit=self.metric == "cosine" and not scales(self.factory))

    def check_passages(self, kb: KnowledgeBase) -> None:
        """LabError unless the knowledge base holds its passages as they were indexed, and no others."""
        found = row_hashes(kb)
        check_rows(self.pinned, found)
        new = [id for id in found if id not in self.pinned]
        if new:
            raise LabError(
                f"index: {len(new)} passages of the knowledge base are not in it, first {new[0]!r}. "
                "Add them (`missing`, `added`), or build it again."
            )

    @property
    def pinned(self) -> dict[str, str]:
        """Passage id -> hash of its row. LabError where no knowledge base was given."""
        if self.rows is None:
            raise LabError("index: it does not pin its passages. Build it with `kb`, the knowledge base they stand in.")
        return self.rows

    def check_in_memory(self) -> None:
        """LabError for a large index, which stays in its files as it was built."""
        if isinstance(self.ids, StoredIds):
            raise LabError("index: it is read where it lies on disk. Copy its folder to keep it, build it anew to add.")

    def attach(self, kb: KnowledgeBase) -> KnowledgeBase:
        """The knowledge base with this index on its passages, which come in the order of the index.

        `attached.passages.get_nearest_examples("index", vector, k)` is then `datasets`' own search, with the metric,
        the rows and the settings of this bundle; its scores are faiss's, so for `euclidean` smaller is better.
        (`add_faiss_index` would build another index, Euclidean by default, and train it on the first rows.)
        """
        self.check_in_memory()
        self.check_passages(kb)
        place = {id: i for i, id in enumerate(kb.ids)}
        passages = kb.passages.select([place[id] for id in self.ids])
        with TemporaryDirectory() as folder:
            file = Path(folder) / "index.faiss"
            write_index(self.index, file)
            passages.load_faiss_index("index", file)
        return replace(kb, passages=passages)

    def _named(self, rows: list[int], scores: list[float]) -> dict[str, float]:
        if rows[-1] < 0:  # the cells that were searched hold no more
            rows = rows[: rows.index(-1)]
        return dict(zip(map(self.ids.__getitem__, rows), scores, strict=False))

    def save(self, folder: Path) -> None:
        """index.faiss, its words if it has any, and index.json with the rest and their hashes. Whole or not at all."""
        self.check_in_memory()
        with writing(folder), whole_folder(folder) as staging:
            write_index(self.index, staging / "index.faiss")
            about = {
                "factory": self.factory,
                "strategy": str(self.strategy),
                "fingerprint": self.fingerprint,
                "metric": self.metric,
                "dimension": self.width,
                "sha256": sha256(staging / "index.faiss"),
                "ids": self.ids,
                "rows": self.rows and list(self.rows.values()),
            }
            if isinstance(self.words, Words):
                self.words.save(staging / WORDS)
                about |= {"weight": self.weight, "words": sha256(staging / WORDS)}
            write_manifest(about, staging)

    @classmethod
    def load(
        cls, folder: Path | str, queries: Embeddings | None = None, kb: KnowledgeBase | None = None
    ) -> "IndexBundle":
        """What `save` wrote, or `build_large`, whose files are read where they lie. Refuses damaged ones.

        queries: vectors that it must be able to answer: of its model, strategy and dimension
        kb:      the knowledge base whose passages it must hold, each as it was, and no others
        """
        folder = Path(folder)
        try:
            bundle = _read(folder, read_manifest(folder))
        except (OSError, AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise LabError(f"{folder}: no index can be read from it ({error}). Build the index again.") from error
        if queries is not None:
            bundle.check(queries)
        if kb is not None:
            bundle.check_passages(kb)
        return bundle


def scales(factory: str) -> bool:
    """Does the index itself bring every vector, stored or asked, to length 1?"""
    return factory.startswith("L2norm,")


def _read(folder: Path, about: dict[str, Any]) -> IndexBundle:
    made = parse(about["strategy"]), about["fingerprint"], about["metric"], about["factory"]
    if "files" in about:
        files = [folder / name for name in about["files"]]
        ids, counted = StoredIds(folder / IDS), [file for file in files if file.name.startswith(f"{WORDS_PART}-")]
        stored = StoredWords.load(counted, ids, about["language"]) if counted else None
        return IndexBundle(open_index(files), ids, *made, None, stored, about.get("weight", 1.0))
    rows = about["rows"] and dict(zip(about["ids"], about["rows"], strict=True))
    words = Words.load(folder / WORDS) if "words" in about else None
    index = faiss.read_index(str(folder / "index.faiss"))
    return IndexBundle(index, about["ids"], *made, rows, words, about.get("weight", 1.0))

"""`Collection`: passages, their vectors and an index in one folder, and the embedding that asks it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hiddenstates.core.data import KnowledgeBase, open_dataset, pinned
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import read_as, whole_folder
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.inspection.cutting import Cuts
from hiddenstates.retrieval.bm25 import Language
from hiddenstates.retrieval.index import IndexBundle, build_index
from hiddenstates.serving.card import card
from hiddenstates.serving.embedding import Exported

PASSAGES, INDEX, ABOUT, VECTOR = "passages", "index", "embedding.json", "vector"


class _About(BaseModel):
    """What embedding.json says: where the embedding lay, and what pins it."""

    folder: str
    sha256: str


@dataclass(frozen=True)
class Hit:
    """A passage that was found. score: the cosine; or of cosine and words, where the index has words"""

    id: str
    score: float
    title: str
    text: str


@dataclass(frozen=True)
class Built:
    """What became of the passages. width: dimensions of their vectors"""

    n: int
    width: int
    cut: Cuts


@dataclass(frozen=True)
class Collection:
    """An index that knows its passages, and the embedding that it was made with."""

    kb: KnowledgeBase
    bundle: IndexBundle
    embedding: Exported

    @classmethod
    def open(cls, folder: Path, embedding: Path | None = None) -> "Collection":
        """What `build` wrote. embedding: where its embedding lies now, if it was moved.

        Raises LabError for another embedding, and for passages that are no longer those of the index.
        """
        try:
            about = read_as(_About, (folder / ABOUT).read_bytes())
        except (OSError, ValueError) as error:
            raise LabError(
                f"{folder}: no index to search ({error}). Make one by `hiddenstates index {folder} PASSAGES "
                "--embedding EMBEDDING`."
            ) from error
        exported = _embedding(folder, embedding or folder / about.folder, about.sha256)
        found = open_dataset(str((folder / PASSAGES).absolute()), None, None).remove_columns(VECTOR)
        kb = KnowledgeBase(found, folder, pinned(folder.name, found))
        return cls(kb, IndexBundle.load(folder / INDEX, kb=kb), exported)

    def search(self, questions: Sequence[str], depth: int) -> list[list[Hit]]:
        """The `depth` best passages of each question, best first."""
        asked = self.embedding.encode(questions, [str(i) for i in range(len(questions))], "query")
        texts = list(questions) if self.bundle.words else None
        run = self.bundle.search(asked, depth, texts)
        place = {id: row for row, id in enumerate(self.kb.ids)}
        return [[self._hit(place[id], id, score) for id, score in run[query].items()] for query in asked.ids]

    def _hit(self, row: int, id: str, score: float) -> Hit:
        passage = self.kb.passages[row]
        return Hit(id, float(score), passage["title"], passage["text"])


def build(
    folder: Path,
    kb: KnowledgeBase,
    embedding: Exported,
    factory: str = "Flat",
    language: Language | None = "english",
    words: bool = True,
    bar: bool = False,
) -> Built:
    """Embed the passages, index them, and write all of it to a new folder; where that fails, nothing is left.

    factory:  as for `build_index`
    words:    whether those of the passages go along, where the embedding's choice gives them a weight
    language: whose stop words and endings they lose
    bar:      show how far it is
    """
    if folder.exists():
        raise LabError(f"{folder} is there already. Name a new folder, or remove that one.")
    if not folder.absolute().parent.is_dir():
        raise LabError(f"{folder}: there is no folder {folder.absolute().parent}. Make it first.")
    texts = kb.texts()
    embeddings = embedding.encode(texts, kb.ids, "passage", bar)
    bundle = build_index(embeddings, factory, kb=kb)
    if words and embedding.choice.weight < 1:
        bundle = bundle.with_words(kb, embedding.choice.weight, language)
    with whole_folder(folder.absolute()) as staging:
        bundle.save(staging / INDEX)
        _with_vectors(kb, embeddings).save_to_disk(staging / PASSAGES)
        about = {"folder": _relative(embedding.folder, folder), "sha256": embedding.digest}
        (staging / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        told = card(folder.name, embedding, bundle, len(kb.ids))
        (staging / "README.md").write_text(told, encoding="utf-8")
    return Built(len(kb.ids), bundle.width, embedding.cuts(texts))


def _with_vectors(kb: KnowledgeBase, embeddings: Embeddings) -> Any:
    return kb.passages.add_column(VECTOR, list(embeddings.vectors))


def _relative(target: Path, folder: Path) -> str:
    """As seen from the index, so that both can be moved together."""
    return os.path.relpath(target.absolute(), folder.absolute())


def _embedding(folder: Path, place: Path, digest: str) -> Exported:
    try:
        exported = Exported.open(place)
    except LabError as error:
        raise LabError(f"{folder}: {error} Say where its embedding is by --embedding.") from error
    if exported.digest != digest:
        raise LabError(
            f"{folder}: its vectors are not of the embedding in {place}, or that was changed since. Name the one that "
            "it was built with by --embedding, or build the index again."
        )
    return exported

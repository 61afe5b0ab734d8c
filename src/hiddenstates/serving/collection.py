"""`Collection`: passages, their vectors and an index in one folder, and the embedding that asks it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel

from hiddenstates.core import bars
from hiddenstates.core.data import KnowledgeBase, open_dataset, pinned
from hiddenstates.core.data.vectors import save_with_vectors
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import read_as, whole_folder
from hiddenstates.encoding.inspection.cutting import Cuts
from hiddenstates.encoding.sharding.sharded import iter_embeddings, whole_embeddings, write_manifest
from hiddenstates.encoding.sharding.shards import SHARD, save_embeddings
from hiddenstates.retrieval.bm25 import Language
from hiddenstates.retrieval.index import IndexBundle, build_index
from hiddenstates.retrieval.index.beside import Beside
from hiddenstates.retrieval.index.large import build_large
from hiddenstates.serving.card import card
from hiddenstates.serving.embedding import Exported

PASSAGES, INDEX, ABOUT, VECTOR = "passages", "index", "embedding.json", "vector"
IN_MEMORY = 65_536
"""Of so many passages the index is made in memory; of more, part by part on disk, and read there."""


class _About(BaseModel):
    """What embedding.json says: where the embedding lay, and what pins it and the passages."""

    folder: str
    sha256: str
    passages: str


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
        kb = KnowledgeBase(found, folder, pinned(PASSAGES, found))
        if kb.revision != about.passages:
            raise LabError(f"{folder / PASSAGES}: these are not the passages that were indexed. Build the index again.")
        return cls(kb, IndexBundle.load(folder / INDEX), exported)

    def search(self, questions: Sequence[str], depth: int) -> list[list[Hit]]:
        """The `depth` best passages of each question, best first."""
        asked = self.embedding.encode(questions, [str(i) for i in range(len(questions))], "query")
        texts = list(questions) if self.bundle.words else None
        run = self.bundle.search(asked, depth, texts)
        rows = self.kb.rows({id for query in asked.ids for id in run[query]})
        return [
            [Hit(id, float(score), rows[id]["title"], rows[id]["text"]) for id, score in run[query].items()]
            for query in asked.ids
        ]


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

    Memory holds a shard of texts and vectors; the index and its words, too, of no more passages than `IN_MEMORY`.

    factory:  as for `build_index`
    words:    whether those of the passages go along, where the embedding's choice gives them a weight
    language: whose stop words and endings they lose
    bar:      show how far it is
    """
    if folder.exists():
        raise LabError(f"{folder} is there already. Name a new folder, or remove that one.")
    if not folder.absolute().parent.is_dir():
        raise LabError(f"{folder}: there is no folder {folder.absolute().parent}. Make it first.")
    with whole_folder(folder.absolute()) as staging:
        with TemporaryDirectory(dir=staging) as passing:
            shards = Path(passing)
            cut = _embed(kb, embedding, shards, bar)
            weight = embedding.choice.weight if words else 1.0
            bundle = _index(shards, staging / INDEX, kb, factory, weight, language)
            save_with_vectors(
                kb.passages, (part.vectors for part in iter_embeddings(shards)), VECTOR, staging / PASSAGES
            )
        about = {"folder": _relative(embedding.folder, folder), "sha256": embedding.digest}
        about["passages"] = pinned(PASSAGES, kb.passages)
        (staging / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        told = card(folder.name, embedding, bundle, len(kb.passages))
        (staging / "README.md").write_text(told, encoding="utf-8")
    return Built(len(kb.passages), bundle.width, cut)


def _embed(kb: KnowledgeBase, embedding: Exported, folder: Path, show: bool) -> Cuts:
    """The vectors of all passages, into shards as `encode_sharded` leaves them; what was cut off the passages."""
    starts, paths, cuts = range(0, len(kb.passages), SHARD), [], []
    alone = len(starts) == 1  # then the model's own bar says more
    for start in bars.bar(starts, "passages", unit="shards", disable=alone or not show):
        part = replace(kb, passages=kb.passages.select(range(start, min(start + SHARD, len(kb.passages)))))
        texts = part.texts()
        paths.append(folder / f"{start // SHARD:06}.safetensors")
        save_embeddings(embedding.encode(texts, part.ids, "passage", show and alone), paths[-1])
        cuts.append(embedding.cuts(texts))
    write_manifest(folder, embedding.choice.strategy, paths)
    return sum(cuts[1:], cuts[0])


def _index(
    shards: Path, folder: Path, kb: KnowledgeBase, factory: str, weight: float, language: Language | None
) -> IndexBundle:
    """The index of the shards, in its folder: of many passages the one that the stage `index` makes of many."""
    if len(kb.passages) > IN_MEMORY:
        return build_large(shards, folder, factory, words=Beside(kb, weight, language) if weight < 1 else None)
    bundle = build_index(whole_embeddings(shards), factory, kb=kb)
    if weight < 1:
        bundle = bundle.with_words(kb, weight, language)
    bundle.save(folder)
    return bundle


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

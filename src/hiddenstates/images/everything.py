"""Every picture of a corpus from which a pool was drawn, embedded once by what was chosen, in shards on disk."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from hiddenstates.core.bars import bar
from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import read_as
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.sharding.engines import LOCAL, Engine
from hiddenstates.encoding.sharding.sharded import (
    encode_sharded,
    in_one_piece,
    iter_embeddings,
    shard_paths,
    write_manifest,
)
from hiddenstates.encoding.sharding.shards import about, save_embeddings
from hiddenstates.images.features import AGAIN, as_passages, sound_files
from hiddenstates.images.several import several_views

FILE = "images.json"
AT_ONCE = 1024
"""Pictures whose views' states are in memory at once."""


class _About(BaseModel):
    """What images.json says, as `StoredPictures` has it."""

    names: dict[str, str]
    faults: dict[str, str]


class Pictures(ABC):
    """The embeddings of different pictures. names: every image name -> the id of its content"""

    names: Mapping[str, str]

    @abstractmethod
    def ids(self) -> Iterable[str]:
        """Of the pictures, in the order of their embeddings."""

    @abstractmethod
    def parts(self) -> Iterable[Embeddings]:
        """The embeddings, some in memory at a time."""


@dataclass(frozen=True)
class HeldPictures(Pictures):
    """`Pictures` in memory."""

    embeddings: Embeddings
    names: Mapping[str, str]

    def ids(self) -> Iterable[str]:
        return self.embeddings.ids

    def parts(self) -> Iterable[Embeddings]:
        return [self.embeddings]


@dataclass(frozen=True)
class StoredPictures(Pictures):
    """`Pictures` in shards on disk: those of all passages. Made by `embed_everything`.

    folder: of their shards, which `iter_embeddings` reads
    names:  every image name -> the id of its content, of files with equal content the first one's name
    faults: image name -> why it was not embedded
    """

    folder: Path
    names: Mapping[str, str]
    faults: Mapping[str, str]

    def ids(self) -> Iterable[str]:
        return (id for path in shard_paths(self.folder) for id in about(path)["ids"])

    def parts(self) -> Iterable[Embeddings]:
        return iter_embeddings(self.folder)

    def select(self, ids: Collection[str]) -> HeldPictures:
        """These pictures, in the order in which they are stored."""
        wanted, parts = frozenset(ids), []
        for part in self.parts():
            rows = [i for i, id in enumerate(part.ids) if id in wanted]
            parts.append(replace(part, ids=[part.ids[i] for i in rows], vectors=part.vectors[rows]))
        return HeldPictures(in_one_piece(parts), self.names)

    @classmethod
    def load(cls, folder: Path) -> "StoredPictures":
        """What `embed_everything` left."""
        try:
            said = read_as(_About, (folder / FILE).read_bytes())
        except (OSError, ValueError) as error:
            raise LabError(f"{folder}: no pictures can be read from it ({error}). {AGAIN}") from error
        return cls(folder, said.names, said.faults)


def embed_everything(
    eye: Encoder, kb: KnowledgeBase, choice: Choice, seed: int, folder: Path, engine: Engine = LOCAL
) -> StoredPictures:
    """Each different picture of the passages by the choice: the clean one, or the mean of as many views as it says.

    Memory holds a shard of vectors, and the names of the pictures.

    seed: of the views; engine: makes the shards of clean pictures, views are made here
    """
    every = {name: None for part in kb.parts() for name in part.passages["image"][:] if name}
    first, faults, sound = sound_files(kb.images, every)
    if choice.evidence.get("views"):
        _embed_views(eye, kb.images, sound, choice, seed, folder)
    else:
        encode_sharded(eye, as_passages(sound, kb.images), choice.strategy, folder, engine, choice.whitening)
    names = {name: held for name, held in first.items() if name not in faults}
    (folder / FILE).write_text(json.dumps({"names": names, "faults": faults}) + "\n", encoding="utf-8")
    return StoredPictures(folder, names, faults)


def _embed_views(eye: Encoder, root: Path, names: list[str], choice: Choice, seed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    count, kind = choice.evidence["views"], choice.evidence["kind"]
    paths = []
    for start in bar(range(0, len(names), AT_ONCE), "pictures", unit="part"):
        some = names[start : start + AT_ONCE]
        clean = eye.pool(some, [root / name for name in some], list(choice.strategy.pools))
        mean = several_views(eye, root, clean, choice.strategy, [count], kind, seed).means[count]
        paths.append(folder / f"{start // AT_ONCE:06}.safetensors")
        save_embeddings(choice.embed(mean), paths[-1])
    write_manifest(folder, choice.strategy, paths)

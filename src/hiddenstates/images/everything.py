"""Every picture of a corpus from which a pool was drawn, embedded once by what was chosen, in shards on disk."""

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import read_as
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.readers import Input
from hiddenstates.encoding.sharding.engines import LOCAL, Engine
from hiddenstates.encoding.sharding.sharded import (
    in_one_piece,
    iter_embeddings,
    move_shards,
    shard_paths,
    write_manifest,
)
from hiddenstates.encoding.sharding.shards import Shard, Work, about
from hiddenstates.images.features import AGAIN, as_passages, sound_files
from hiddenstates.images.several import several_views

FILE = "images.json"
PICTURES_PER_SHARD = 1024
"""Pictures per shard: what a killed run loses, and whose views' states are in memory at once."""


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

    def move(self, folder: Path) -> "StoredPictures":
        """The same in a new folder, without what killed runs left over other pictures."""
        move_shards(self.folder, folder)
        shutil.move(self.folder / FILE, folder / FILE)
        return replace(self, folder=folder)

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

    Memory holds a shard of vectors, and the names of the pictures. A run that was killed goes on from the shards that
    are there, and ends with the bytes of one that was not.

    seed: of the views; engine: makes the shards
    """
    every = {name: None for part in kb.parts() for name in part.passages["image"][:] if name}
    first, faults, sound = sound_files(kb.images, every)
    strategy = choice.strategy.resolve(len(eye.state_map))
    eye.check_poolings(strategy.pools)
    wanted = as_passages(sound, kb.images), strategy, folder, choice.whitening, PICTURES_PER_SHARD
    work = _Views(*wanted, choice=choice, seed=seed) if choice.evidence.get("views") else Work(*wanted)
    write_manifest(folder, strategy, engine.make(eye, work))
    names = {name: held for name, held in first.items() if name not in faults}
    (folder / FILE).write_text(json.dumps({"names": names, "faults": faults}) + "\n", encoding="utf-8")
    return StoredPictures(folder, names, faults)


@dataclass(frozen=True, kw_only=True)
class _Views(Work):
    """As of the pictures themselves, but the mean of several views stands in the place of each."""

    choice: Choice
    seed: int

    def _made(self, encoder: Encoder, shard: Shard) -> Embeddings:
        count, kind, strategy = self.choice.evidence["views"], self.choice.evidence["kind"], self.choice.strategy
        clean = encoder.pool(shard.ids, shard.inputs, list(strategy.pools))
        mean = several_views(encoder, self.corpus.images, clean, strategy, [count], kind, self.seed).means[count]
        return self.choice.embed(mean)

    def _name(self, encoder: Encoder, ids: Sequence[str], inputs: Sequence[Input]) -> str:
        views = [self.choice.evidence["views"], self.choice.evidence["kind"], self.seed]
        return sha256(json.dumps([super()._name(encoder, ids, inputs), views]).encode()).hexdigest()[:32]

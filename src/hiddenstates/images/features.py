"""The images of a knowledge base as vectors: made each time from an image's name, or once and stored.

Both ways give the states of an item's image under the item's id, and the same numbers.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from pydantic import BaseModel

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import first_of_content, read_as, whole_folder
from hiddenstates.core.images import read_image
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.readers import check_kinds
from hiddenstates.encoding.sharding.engines import LOCAL, Engine
from hiddenstates.encoding.sharding.sharded import pool_corpus

IMAGES_PER_FILE = 64
"""Images that are embedded before they are put on disk: what a killed run loses."""


class _About(BaseModel):
    """What images.json says, as `ImageFeatures` has it."""

    names: dict[str, str]
    faults: dict[str, str]


@dataclass(frozen=True)
class ImageFeatures:
    """The stored way. Made by `embed_images`.

    states: of each different image once; the id is its name, of files with equal content the first one's
    names:  every image name -> the id of its content
    faults: image name -> why it has no features: the file is missing, broken or too large
    """

    states: PooledStates
    names: dict[str, str]
    faults: dict[str, str]

    def rows(self, images: Sequence[str]) -> Int64[np.ndarray, " item"]:
        """The row in the states of each item's image; -1 where an item has none, or one with a fault."""
        place = {id: row for row, id in enumerate(self.states.ids)}
        unknown = next((name for name in images if name and name not in self.names | self.faults), None)
        if unknown:
            raise LabError(f"images: no features of {unknown!r}, an image they were not made of. {AGAIN}")
        return np.array([place.get(self.names.get(name, ""), -1) for name in images], dtype=np.int64)

    def of_items(self, ids: Sequence[str], images: Sequence[str]) -> PooledStates:
        """The states of the image of each item, under the item's id; an item without a sound image is left out."""
        rows = self.rows(images)
        kept = rows >= 0
        values = {pool: states[:, rows[kept]] for pool, states in self.states.values.items()}
        named = [id for id, sound in zip(ids, kept, strict=True) if sound]
        return replace(self.states, ids=named, values=values)

    def save(self, folder: Path) -> None:
        """states.safetensors and images.json, both or none."""
        with whole_folder(folder) as staging:
            self.states.save(staging / "states.safetensors")
            about = {"names": self.names, "faults": self.faults}
            (staging / "images.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "ImageFeatures":
        """What `save` wrote."""
        states = PooledStates.load(folder / "states.safetensors")
        try:
            about = read_as(_About, (folder / "images.json").read_bytes())
            return cls(states, about.names, about.faults)
        except (OSError, ValueError) as error:
            raise LabError(f"{folder}: no image features can be read from it ({error}). {AGAIN}") from error


AGAIN = "Run the stage `images` again."


def embed_by_name(
    encoder: Encoder, root: Path, ids: Sequence[str], images: Sequence[str], poolings: Sequence[str]
) -> PooledStates:
    """The other way: the states of the image of each item, under the item's id, read and made now.

    An item without an image is left out. LabError for an image that cannot be read.
    """
    named = {id: root / image for id, image in zip(ids, images, strict=True) if image}
    return encoder.pool(list(named), list(named.values()), poolings)


def embed_images(
    encoder: Encoder, kb: KnowledgeBase, poolings: Sequence[str], folder: Path, engine: Engine = LOCAL
) -> ImageFeatures:
    """The features of the passages' images. folder, engine: as in `embed_files`"""
    return embed_files(encoder, kb.images, kb.passages["image"][:], poolings, folder, engine)


def embed_files(
    encoder: Encoder,
    root: Path,
    images: Sequence[str],
    poolings: Sequence[str],
    folder: Path,
    engine: Engine = LOCAL,
) -> ImageFeatures:
    """The features of images by their names under `root`: of each different content once, faults marked.

    folder: takes a file for each `IMAGES_PER_FILE`; a killed run goes on from there and ends with the same bytes
    """
    first, faults, sound = sound_files(root, images)
    check_kinds([root / name for name in sound], encoder.reader)
    states = pool_corpus(encoder, as_passages(sound, root), poolings, folder, engine, IMAGES_PER_FILE)
    return ImageFeatures(states, {name: held for name, held in first.items() if name not in faults}, faults)


def sound_files(root: Path, images: Iterable[str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Name -> the first one whose file has the same content; name -> what is wrong with it; sound first ones."""
    first = first_of_content({name: root / name for name in images if name})
    faults = _faults(root, first)
    return first, faults, [name for name in dict.fromkeys(first.values()) if name not in faults]


def as_passages(names: Sequence[str], root: Path) -> KnowledgeBase:
    """Pictures in the place of passages, each under its own name: to be encoded in shards as these are."""
    return KnowledgeBase(table(({"id": name, "image": name} for name in names), PASSAGE_COLUMNS), root, "")


def _faults(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Name -> what is wrong with its file, the file as it is named; no entry for one that can be read."""
    found = {}
    for name in names:
        try:
            read_image(root / name)
        except LabError as error:
            found[name] = str(error).replace(str(root / name), name)
    return found

"""Shards: what an encoder makes of a corpus, in files of so many items, each written once, whole or not at all."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import content, write_tensors
from hiddenstates.core.joined import AnyStrategy, parse
from hiddenstates.encoding.embeddings.pooled import Embeddings, PooledStates
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.prompts import Side
from hiddenstates.encoding.inputs.readers import Input, TextImage
from hiddenstates.encoding.models.boxes import with_stored

SHARD = 8192
"""Items a shard. All 7 states of MiniLM under 5 poolings take 440 MB for so many, one strategy's vectors 13 MB."""


@dataclass(frozen=True)
class Shard:
    """Some items of a corpus, and the file that holds what is made of them."""

    ids: list[str]
    inputs: list[Input]
    path: Path

    def is_made(self) -> bool:
        """Whether the file is there, whole, and about these items. The name says all else."""
        try:
            return about(self.path)["ids"] == self.ids
        except LabError:
            return False


@dataclass(frozen=True)
class Work:
    """What is to be made of a corpus; the same, whoever makes it.

    corpus:    its passages; queries can stand in their place
    wanted:    a strategy, for `Embeddings`; or names of poolings, for `PooledStates`
    folder:    takes the shards
    whitening: for a strategy that whitens
    size:      items a shard, of those that the corpus has
    side:      whose prompt stands before each text
    """

    corpus: KnowledgeBase
    wanted: AnyStrategy | tuple[str, ...]
    folder: Path
    whitening: Whitenings | None = None
    size: int = SHARD
    side: Side = "passage"

    def starts(self) -> range:
        """The row at which each shard starts; of a corpus without rows, one that is empty."""
        return range(0, len(self.corpus.passages) or 1, self.size)

    def shard(self, encoder: Encoder, start: int) -> Shard:
        """The shard that starts at this row. An item of which the encoder reads nothing is left out."""
        rows = self.corpus.passages
        part = replace(self.corpus, passages=rows.select(range(start, min(start + self.size, len(rows)))))
        images = [part.images / name if name else None for name in part.passages["image"][:]]
        inputs = encoder.reader.inputs(part.texts(), images)
        read = [(id, value) for id, value in zip(part.ids, inputs, strict=True) if value is not None]
        ids, values = [id for id, _ in read], [value for _, value in read]
        return Shard(ids, values, self.folder / f"{self._name(encoder, ids, values)}.safetensors")

    def make(self, encoder: Encoder, shard: Shard) -> None:
        """Write the shard. One that a killed process left half written has another name and is never read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = self._made(encoder, shard)
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".partial", delete=False) as file:
            partial = Path(file.name)
        try:
            made.save(partial) if isinstance(made, PooledStates) else save_embeddings(made, partial)
            partial.replace(shard.path)
        finally:
            partial.unlink(missing_ok=True)

    def _made(self, encoder: Encoder, shard: Shard) -> PooledStates | Embeddings:
        reader = with_stored(encoder.reader, _images(shard.inputs))
        encoder = replace(encoder, reader=reader)
        if isinstance(self.wanted, tuple):
            return encoder.pool(shard.ids, shard.inputs, self.wanted, self.side)
        return encoder.encode(shard.inputs, self.wanted, shard.ids, self.side, self.whitening)

    def _name(self, encoder: Encoder, ids: Sequence[str], inputs: Sequence[Input]) -> str:
        """A hash of all that the shard's content depends on, but for how the processor rounds."""
        if encoder.source is None:
            raise LabError(f"model {encoder.name}: changed since it was loaded. Load it by load_encoder alone.")
        contents = {path: content(path) for path in _images(inputs)}
        settings = [encoder.fingerprint, encoder.source.max_tokens, encoder.source.device, torch.__version__]
        wanted = [str(self.wanted), self.whitening.fingerprint if self.whitening else None]
        wanted += [encoder.reading.prompt(self.side)]
        read = [_content(value, contents) for value in inputs]
        return hashlib.sha256(json.dumps([settings, wanted, list(ids), read]).encode()).hexdigest()[:32]


def save_embeddings(embeddings: Embeddings, path: Path) -> None:
    """A safetensors file: the vectors; ids, strategy and fingerprint in its header."""
    said = {"ids": embeddings.ids, "strategy": str(embeddings.strategy), "fingerprint": embeddings.fingerprint}
    write_tensors({"vectors": embeddings.vectors}, path, json.dumps(said))


def load_embeddings(path: Path) -> Embeddings:
    """What `save_embeddings` wrote."""
    said = about(path)
    with safe_open(path, framework="numpy") as file:
        vectors = file.get_tensor("vectors")
    return Embeddings(said["ids"], vectors, parse(said["strategy"]), said["fingerprint"])


def about(path: Path) -> dict[str, Any]:
    """What a shard's header says. LabError for a file that is missing, cut short or no shard."""
    try:
        with safe_open(path, framework="numpy") as file:
            said: dict[str, Any] = json.loads((file.metadata() or {})["about"])
            return said
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise LabError(f"{path}: no shard can be read from it ({error}). Encode again.") from error


def _images(inputs: Sequence[Input]) -> Iterator[Path]:
    """The files that are read."""
    found = (value.image if isinstance(value, TextImage) else value for value in inputs)
    return (path for path in dict.fromkeys(found) if isinstance(path, Path))


def _content(value: Input, contents: dict[Path, str]) -> list[str]:
    if isinstance(value, TextImage):
        return [value.text, *(contents[path] for path in [value.image] if path)]
    return [contents[value] if isinstance(value, Path) else value]

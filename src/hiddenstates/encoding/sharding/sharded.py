"""A whole corpus through an encoder, shard by shard: in this process or on a cluster, on from where it was killed."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hiddenstates.core.data import KnowledgeBase, Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import let_go, on_disk
from hiddenstates.core.joined import AnyStrategy
from hiddenstates.encoding.embeddings.costs import FLOAT32
from hiddenstates.encoding.embeddings.pooled import Embeddings, PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.prompts import Side, sides
from hiddenstates.encoding.sharding.engines import LOCAL, Engine
from hiddenstates.encoding.sharding.shards import SHARD, Work, load_embeddings

MANIFEST = "manifest.json"
SHARD_BYTES = 300_000_000
"""Of pooled states, which memory holds a shard at a time: all those of MiniLM under 5 poolings, of 5,580 items."""


def pool_task(
    encoder: Encoder, task: Task, poolings: Sequence[str], engine: Engine = LOCAL, folder: Path | None = None
) -> TaskStates:
    """One forward pass over every passage and every query: their texts, their images or both, as the encoder reads.

    What the encoder's published embedding pools is pooled, too. Each side has its prompt, if the encoder has any.

    An item that has no image, of which an encoder of images reads nothing, is left out; LabError where that is all.

    folder: keeps the shards, for a run that goes on from there; None is one that goes away
    """
    wanted = list(dict.fromkeys([*poolings, *encoder.baseline.strategy.pools]))
    read = zip((task.kb, as_corpus(task)), sides(task.measure), strict=True)
    with _kept(folder) as shards:
        states = [pool_corpus(encoder, corpus, wanted, shards, engine, side=side) for corpus, side in read]
    if not all(some.ids for some in states):
        raise LabError(f"model {encoder.name}: it reads images, and no item of the task has one. Choose another part.")
    return TaskStates(*states)


def as_corpus(task: Task) -> KnowledgeBase:
    """The queries in the place of passages: to be encoded in shards as these are."""
    untitled = task.queries.add_column("title", [""] * len(task.queries))
    return replace(task.kb, passages=untitled)


def pool_corpus(
    encoder: Encoder,
    corpus: KnowledgeBase,
    poolings: Sequence[str],
    folder: Path,
    engine: Engine = LOCAL,
    size: int | None = None,
    side: Side = "passage",
) -> PooledStates:
    """Every hidden state of every passage under each pooling, read from disk when looked at.

    folder: of the shards
    size:   items per shard; None: `SHARD`, or fewer, so that a shard takes no more than `SHARD_BYTES`
    """
    encoder.check_poolings(poolings)  # refused before any work
    each = FLOAT32 * len(poolings) * len(encoder.state_map) * encoder.width
    size = size or max(1, min(SHARD, SHARD_BYTES // each))
    paths = engine.make(encoder, Work(corpus, tuple(poolings), folder, size=size, side=side))
    return _merged([PooledStates.load(path) for path in paths], folder)


def encode_sharded(
    encoder: Encoder,
    corpus: KnowledgeBase,
    strategy: AnyStrategy,
    folder: Path,
    engine: Engine = LOCAL,
    whitening: Whitenings | None = None,
    size: int = SHARD,
    side: Side = "passage",
) -> None:
    """The embedding of every passage, into a folder of shards; memory holds one shard, however large the corpus is.

    `iter_embeddings` reads them. A run that was killed goes on from the shards that are there; manifest.json, written
    last, names those that belong together.

    corpus: at best a dataset on disk (`datasets.load_from_disk`), of which only a shard's rows are read at a time
    folder: on a cluster, one that all nodes share
    side:   whose prompt stands before each text
    """
    resolved = strategy.resolve(len(encoder.state_map))
    encoder.check_poolings(strategy.pools)
    write_manifest(folder, resolved, engine.make(encoder, Work(corpus, resolved, folder, whitening, size, side)))


def write_manifest(folder: Path, strategy: AnyStrategy, shards: Sequence[Path]) -> None:
    """manifest.json: which of the folder's files belong together, in this order. Halves that were left go away."""
    manifest = {"strategy": str(strategy), "shards": [path.name for path in shards]}
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / MANIFEST)
    for left in folder.glob("*.partial"):  # by processes that were killed
        left.unlink()


def iter_embeddings(folder: Path) -> Iterator[Embeddings]:
    """What `encode_sharded` left, in the corpus's order, one shard in memory at a time."""
    return map(load_embeddings, shard_paths(folder))


def whole_embeddings(folder: Path) -> Embeddings:
    """What `encode_sharded` left, in one piece: for what fits into memory, as queries do."""
    return in_one_piece(iter_embeddings(folder))


def in_one_piece(parts: Iterable[Embeddings]) -> Embeddings:
    """Embeddings of one making, of which there are some, one after the other."""
    every = list(parts)
    ids = [id for part in every for id in part.ids]
    return replace(every[0], ids=ids, vectors=np.concatenate([part.vectors for part in every]))


def holds(folder: Path, strategy: AnyStrategy, fingerprint: str) -> bool:
    """Whether `encode_sharded` left embeddings of this making in the folder."""
    if not (folder / MANIFEST).exists():
        return False
    first = load_embeddings(shard_paths(folder)[0])
    return (first.strategy, first.fingerprint) == (strategy, fingerprint)


def shard_paths(folder: Path) -> list[Path]:
    """The files that `encode_sharded` left, in the corpus's order; each is named by what it holds."""
    try:
        names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["shards"]
        if any(Path(name).name != name for name in names):
            raise ValueError("a shard's name leaves the folder")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{folder}: no embeddings can be read from it ({error}). Encode again.") from error
    return [folder / name for name in names]


def move_shards(folder: Path, target: Path) -> None:
    """What `encode_sharded` left, moved to a new folder; what killed runs over other texts left beside it stays."""
    target.mkdir(parents=True)
    for path in [*shard_paths(folder), folder / MANIFEST]:
        shutil.move(path, target / path.name)


def _merged(parts: list[PooledStates], folder: Path) -> PooledStates:
    """The shards as one, on disk."""
    if len(parts) == 1:
        return parts[0]
    ids = [id for part in parts for id in part.ids]
    return replace(parts[0], ids=ids, values={pool: _side_by_side(parts, pool, folder) for pool in parts[0].values})


def _side_by_side(parts: list[PooledStates], pool: str, folder: Path) -> np.ndarray:
    layers, _, width = parts[0].values[pool].shape
    whole, done = on_disk((layers, sum(len(part.ids) for part in parts), width), folder), 0
    for part in parts:
        whole[:, done : done + len(part.ids)] = part.values[pool]
        done += len(part.ids)
        let_go(part.values[pool])
        let_go(whole)
    return whole


@contextmanager
def _kept(folder: Path | None) -> Iterator[Path]:
    if folder:
        yield folder
    else:
        with TemporaryDirectory() as passing:
            yield Path(passing)

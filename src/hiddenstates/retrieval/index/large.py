"""An index beyond memory: trained on a sample of all shards, built part by part, merged on disk where faiss can.

As in faiss's own demos/demo_ondisk_ivf.py. What is built is kept: a build that was killed goes on from there.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from faiss.contrib.ondisk import merge_ondisk
from jaxtyping import Float32

from hiddenstates.core.bars import bar
from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import sha256, whole_folder
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.sharding.sharded import shard_paths
from hiddenstates.encoding.sharding.shards import about as said_by, load_embeddings
from hiddenstates.retrieval.bm25 import write_words
from hiddenstates.retrieval.index.beside import Beside, check_beside
from hiddenstates.retrieval.index.bundle import IndexBundle, Metric
from hiddenstates.retrieval.index.stored import (
    IDS,
    LISTS,
    WORDS_PART,
    StoredIds,
    check_room,
    write_ids,
    write_index,
    write_manifest,
    writing,
)
from hiddenstates.retrieval.index.training import METRICS, Trainings, drawn, filled, trained

SHARDS_A_PART = 16
"""Of MiniLM's vectors 200 MB: what is in memory while a part is built."""

MERGED = (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ)


def build_large(
    embeddings: Path,
    folder: Path,
    factory: str = "IVF{cells},Flat nprobe=16",
    metric: Metric = "cosine",
    seed: int = 0,
    words: Beside | None = None,
) -> IndexBundle:
    """The index of the embeddings that `encode_sharded` left in a folder; in memory there is one part at a time.

    Cells of vectors or of codes (`IVF…,Flat`, `SQ8`, `PQ…`) are merged into one file, and are the very index that
    `build_index` makes of all in memory. Of others the parts are searched one after the other: Flat finds the same up
    to float32's last digits, a graph or a refined search may not, because each part has its own. `IndexBundle.load`
    opens either without reading it into memory. Passages are not pinned: a knowledge base of millions stays on disk.

    folder:  takes the index; beside it lie the parts until it is through, also those of a build that failed
    factory: as for `build_index`
    words:   to be counted on disk, and to stand beside the vectors as after `IndexBundle.with_words`; of the passages
             that were encoded, in their order
    """
    plan = _plan(embeddings, factory, metric, seed, words)
    if found := _built(folder, plan.name):
        return found
    building = folder.with_name(f".{folder.name}.{plan.name}.parts")
    with one_thread():
        start = _once(building / "start.faiss", partial(_start, plan))
        parts = [
            _once(building / f"part-{first // SHARDS_A_PART:05}.faiss", partial(_part, plan, start, first))
            for first in bar(range(0, len(plan.shards), SHARDS_A_PART), "parts", unit="part")
        ]
        with writing(folder), whole_folder(folder) as staging:
            _joined(start, parts, staging)
            _describe(plan, staging)
    for left in folder.parent.glob(f".{folder.name}.*.parts"):  # this one's, and those of builds that were given up
        shutil.rmtree(left)
    return IndexBundle.load(folder)


@dataclass(frozen=True)
class _Plan:
    """What is built of what.

    sizes: items of each shard
    like:  the first shard, which all others must go with
    """

    shards: list[Path]
    sizes: list[int]
    like: Embeddings
    factory: str
    metric: Metric
    seed: int
    words: Beside | None

    @property
    def name(self) -> str:
        made = [path.name for path in self.shards], self.factory, self.metric, self.seed, faiss.__version__
        beside = [self.words.said, self.words.kb.revision] if self.words else []
        return sha256_of(json.dumps([*made, SHARDS_A_PART, *beside]).encode()).hexdigest()[:16]

    def bundle(self, index: Any) -> IndexBundle:
        return IndexBundle(index, [], self.like.strategy, self.like.fingerprint, self.metric, self.factory)

    def load(self, shard: Path) -> Embeddings:
        """The shard's embeddings. LabError unless they go with those of the first one."""
        embeddings = load_embeddings(shard)
        self.bundle(_Width(self.like.vectors.shape[1])).check(embeddings)
        return embeddings


@dataclass(frozen=True)
class _Width:
    """All that a check asks of an index."""

    d: int


def _plan(folder: Path, factory: str, metric: Metric, seed: int, words: Beside | None) -> _Plan:
    if words:
        check_beside(metric, words.weight)
    sizes = {path: len(said_by(path)["ids"]) for path in shard_paths(folder)}
    shards = [path for path, size in sizes.items() if size]
    if not shards:
        raise LabError(f"{folder}: there is nothing to index. Encode at least one passage.")
    like, counts = load_embeddings(shards[0]), [sizes[path] for path in shards]
    made = filled(factory, sum(counts), like.vectors.shape[1])
    return _Plan(shards, counts, like, made, metric, seed, words)


def _built(folder: Path, name: str) -> IndexBundle | None:
    """The index by the plan of this name, if it is there and whole."""
    try:
        plan = json.loads((folder / "index.json").read_text("utf-8"))["plan"]
        return IndexBundle.load(folder) if plan == name else None
    except (OSError, ValueError, KeyError, TypeError, LabError):
        return None


def _once(path: Path, make: Callable[[], Any]) -> Path:
    """The file, written whole by `make` unless it is there."""
    if path.exists():
        return path
    index, unfinished = make(), path.with_suffix(f".{os.getpid()}.partial")
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_index(index, unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return path


def _start(plan: _Plan) -> Any:
    return trained(Trainings(_sample(plan), METRICS[plan.metric]), plan.factory)


def _sample(plan: _Plan) -> Float32[np.ndarray, "chosen width"]:
    """The rows that `build_index` would draw, in its order, gathered shard by shard."""
    rows = drawn(sum(plan.sizes), plan.seed)
    order = np.argsort(rows)
    ends = np.cumsum(plan.sizes)
    sample = np.empty((len(rows), plan.like.vectors.shape[1]), np.float32)
    cuts = np.searchsorted(rows[order], ends)
    for shard, places, end, size in zip(plan.shards, np.split(order, cuts[:-1]), ends, plan.sizes, strict=True):
        sample[places] = plan.load(shard).vectors[rows[places] - (end - size)]
    return sample


def _part(plan: _Plan, start: Path, first: int) -> Any:
    """The part that begins with this shard."""
    index: Any = faiss.read_index(str(start))
    row = sum(plan.sizes[:first])
    for shard in plan.shards[first : first + SHARDS_A_PART]:
        vectors = plan.load(shard).vectors
        if _cells(index):  # merge_ondisk numbers rows anew, but wrongly (1.15.1) where parts are not of one size
            index.add_with_ids(vectors, np.arange(row, row + len(vectors)))
        else:
            index.add(vectors)
        row += len(vectors)
    return index


def _cells(index: Any) -> Any:
    """The cells of an index that can be merged on disk, or None."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    return inner if type(inner) in MERGED else None


def _joined(start: Path, parts: Sequence[Path], folder: Path) -> None:
    index: Any = faiss.read_index(str(start))
    cells = _cells(index)
    if cells is None:
        for part in parts:
            (folder / part.name).hardlink_to(part)
        return
    # written through mapped memory: on a disk that is full the system would end the process
    check_room(folder, sum(part.stat().st_size for part in parts))
    merge_ondisk(index, [str(part) for part in parts], str(folder / LISTS))
    lists: Any = faiss.downcast_InvertedLists(cells.invlists)
    lists.filename = LISTS  # relative: the folder is about to move
    write_index(index, folder / "index.faiss")


def _describe(plan: _Plan, folder: Path) -> None:
    write_ids((said_by(shard)["ids"] for shard in plan.shards), folder / IDS)
    if plan.words:
        _check_order(plan.words.kb, StoredIds(folder / IDS))
        write_words(plan.words.kb, folder, WORDS_PART, plan.words.language)
    about = {
        "factory": plan.factory,
        "strategy": str(plan.like.strategy),
        "fingerprint": plan.like.fingerprint,
        "metric": plan.metric,
        "dimension": plan.like.vectors.shape[1],
        "plan": plan.name,
        **(plan.words.said if plan.words else {}),
        "files": {path.name: sha256(path) for path in sorted(folder.iterdir())},
    }
    write_manifest(about, folder)


def _check_order(kb: KnowledgeBase, ids: StoredIds) -> None:
    """LabError unless these are the ids of the passages, in their order."""
    first, same = 0, len(kb.passages) == len(ids)
    for part in kb.parts():
        same = same and part.ids == ids[first : first + len(part.passages)]
        first += len(part.passages)
    if not same:
        raise LabError("index: these are not the passages that were encoded. Give the same for words, in their order.")

"""A pool: the part of a large corpus on which strategies are chosen. What is chosen is then confirmed on all of it.

Every hidden state under every pooling of millions of passages fits no disk; those of a pool do. TREC's collections are
judged in the same way (Spärck Jones & van Rijsbergen 1975): what no system ranks high is hardly ever relevant.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import read_as
from hiddenstates.core.relevance import Run
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.prompts import sides
from hiddenstates.encoding.sharding.engines import LOCAL, Engine
from hiddenstates.encoding.sharding.sharded import as_corpus, encode_sharded, whole_embeddings
from hiddenstates.retrieval.bm25 import bm25_run
from hiddenstates.retrieval.index.streaming import search_shards

FILE = "pool.json"
DEPTH = 100
"""So many of the best passages of each query, by BM25 and by the published embedding, are candidates."""


class Pool(BaseModel, frozen=True):
    """How the passages of a pool came into it.

    passages: of the whole corpus
    judged:   passages that some query judges; all of them are in it
    found:    further ones, that BM25 or the published embedding ranks high for a dev or test query
    drawn:    further ones, at random
    """

    passages: int
    judged: int
    found: int
    drawn: int
    seed: int

    def __len__(self) -> int:
        return self.judged + self.found + self.drawn

    def __str__(self) -> str:
        came = {
            "judged": self.judged,
            "that BM25 or the published embedding ranks high": self.found,
            "at random": self.drawn,
        }
        parts = ", ".join(f"{n:,} {how}" for how, n in came.items() if n)
        return f"a pool of {len(self):,} of {self.passages:,} passages: {parts}"

    def save(self, folder: Path) -> None:
        """pool.json"""
        (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_pool(folder: Path) -> Pool | None:
    """What `Pool.save` wrote beside an encoder's pooled states; None where they are those of all passages."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return read_as(Pool, path.read_bytes())
    except (OSError, ValueError) as error:
        raise LabError(f"{path}: no pool can be read from it ({error}). Run the stage `states` again.") from error


def too_many(task: Task, most: int | None) -> bool:
    """Whether the corpus is larger than a pool of so many passages. Sentence pairs are not searched: never."""
    return most is not None and task.measure == "retrieval" and len(task.kb.passages) > most


def candidates(task: Task, encoder: Encoder, folder: Path, engine: Engine = LOCAL) -> list[Run]:
    """The `DEPTH` best passages of each dev and test query among all: by BM25, and by the published embedding.

    folder: takes the published embedding of every passage, in shards, to be searched again
    """
    asked = task.select(split=("dev", "test"))
    passage, query = sides(task.measure)
    strategy = encoder.baseline.strategy
    encode_sharded(encoder, task.kb, strategy, folder, engine, side=passage)
    encode_sharded(encoder, as_corpus(asked), strategy, folder / "queries", engine, side=query)
    queries = whole_embeddings(folder / "queries")
    return [bm25_run(asked, DEPTH), asked.searched(partial(search_shards, folder, queries), DEPTH)]


def draw_pool(task: Task, most: int, lists: Sequence[Run], seed: int = 0) -> tuple[Task, Pool]:
    """The task with `most` of its passages: all that are judged, then the lists' best rank by rank, then random ones.

    Where more are judged than `most`, all of these are in it, and no others.
    """
    judged, n = task.kb.places(task.judged), len(task.kb.passages)
    room = max(0, most - len(judged))
    ranked = [passage for passage in dict.fromkeys(_by_rank(lists)) if passage not in judged][:room]
    found = task.kb.places(ranked)
    known = [*judged.values(), *found.values()]
    order = np.random.default_rng(seed).permutation(n)
    drawn = order[~np.isin(order, known)][: room - len(found)].tolist()
    passages = task.kb.passages.select(sorted([*known, *drawn]))
    drawn_from = Pool(passages=n, judged=len(judged), found=len(found), drawn=len(drawn), seed=seed)
    return replace(task, kb=replace(task.kb, passages=passages)), drawn_from


def at_most(task: Task, most: int | None, seed: int = 0) -> Task:
    """The task itself, or with so many of its passages: all that are judged, and others at random."""
    return draw_pool(task, most, [], seed)[0] if most and too_many(task, most) else task


def _by_rank(lists: Sequence[Run]) -> Iterator[str]:
    """All first passages, then all second ones, and so on."""
    rows = [list(row) for run in lists for row in run.rows.values()]
    return (passage for rank in zip_longest(*rows) for passage in rank if passage is not None)

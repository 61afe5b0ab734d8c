"""What each kind of index finds, takes, and costs to ask: the first two the same each time, the last by the clock."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import faiss
import numpy as np
import pandas as pd

from hiddenstates.core.relevance import Run
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.retrieval.index.building import added, build_index, trainings_of
from hiddenstates.retrieval.index.bundle import IndexBundle
from hiddenstates.retrieval.index.training import TooFewError, Trainings, filled, trained

SINGLES = 200
"""Queries that are asked one by one."""

ROUNDS = 5

PLENTY = 1024
"""Vectors: so many train whatever is usual, codes of 8 bits want 256."""

COUNTERS: Any = faiss.cvar


@dataclass(frozen=True)
class Candidate:
    """An index, and the seconds that building it takes, alone."""

    bundle: IndexBundle
    seconds: float


def trainable(passages: Embeddings, factories: Iterable[str]) -> list[str]:
    """The factories, less those whose cells or codes want more vectors to train on than there are passages."""
    vectors = passages.vectors
    return [f for f in factories if len(vectors) >= PLENTY or _trains(filled(f, *vectors.shape), vectors)]


def _trains(factory: str, vectors: np.ndarray) -> bool:
    try:
        trained(Trainings(vectors, faiss.METRIC_INNER_PRODUCT), factory)
    except TooFewError:
        return False
    return True


def candidates(passages: Embeddings, factories: Iterable[str], seed: int = 0) -> list[Candidate]:
    """An index by each of the factories; two that come to the same are one. What two of them share is trained once."""
    trainings, built = trainings_of(passages, seed=seed), dict[str, Candidate]()
    for factory in factories:
        start, spared = perf_counter(), trainings.spared
        bundle = build_index(passages, factory, seed=seed, trainings=trainings)
        alone = perf_counter() - start + trainings.spared - spared
        built.setdefault(bundle.factory, Candidate(bundle, alone))
    return list(built.values())


def agreement(found: Run, exact: Run) -> float:
    """recall against exact search: the share of the true nearest neighbours that were found."""
    shared = sum(len(exact[query].keys() & found[query].keys()) for query in exact)
    return shared / sum(len(exact[query]) for query in exact)


def qualities(built: Iterable[Candidate], queries: Embeddings, exact: Run, depth: int) -> pd.DataFrame:
    """A row a factory: recall against exact search, the size in MB, and how many vectors a query is compared with.

    megabytes: of the file, and very nearly of memory
    compared:  vectors, codes and centres of cells: what a search costs, without a clock
    """
    rows = {}
    for bundle in (candidate.bundle for candidate in built):
        COUNTERS.indexIVF_stats.reset()
        COUNTERS.hnsw_stats.reset()
        recall = agreement(bundle.search(queries, depth), exact)
        size = faiss.serialize_index(bundle.index).nbytes / 1e6
        rows[bundle.factory] = (recall, size, _compared(bundle.index, len(queries.ids)))
    return pd.DataFrame.from_dict(rows, orient="index", columns=[f"recall@{depth}", "megabytes", "compared"])


def speeds(built: Iterable[Candidate], queries: Embeddings, depth: int) -> pd.DataFrame:
    """A row a factory: queries a second, asked one by one and all in one batch, and the seconds of its building.

    Medians: of the queries, and of some rounds. A single query is one thread's work: where other programs run, two that
    wait for each other take longer.
    """
    singles = [replace(queries, ids=[id], vectors=queries.vectors[i : i + 1]) for i, id in enumerate(queries.ids)]
    rows = {}
    for candidate in built:
        search = candidate.bundle.search
        with one_thread():
            one = median(_seconds(partial(search, query, depth)) for query in singles[:SINGLES])
        batch = median(_seconds(partial(search, queries, depth)) for _ in range(ROUNDS))
        rows[candidate.bundle.factory] = (1 / one, len(queries.ids) / batch, candidate.seconds)
    columns = ["one by one, queries/s", "in a batch, queries/s", "build, s"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def recommended(measured: pd.DataFrame, recall: float, megabytes: float) -> pd.DataFrame:
    """The rows that find as much as is wanted and fit, the smallest first. measured: as by `qualities`, or wider."""
    found = measured.filter(like="recall@").iloc[:, 0]
    return measured[(found >= recall) & (measured["megabytes"] <= megabytes)].sort_values("megabytes", kind="stable")


def split(embeddings: Embeddings, share: float, seed: int) -> tuple[Embeddings, Embeddings]:
    """Two parts, drawn at random; the second is about this share of the whole, and neither is empty."""
    n = len(embeddings.ids)
    order = np.random.default_rng(seed).permutation(n)
    edge = n - min(n - 1, max(1, round(share * n)))
    return _rows(embeddings, np.sort(order[:edge])), _rows(embeddings, np.sort(order[edge:]))


def grown(built: Iterable[Candidate], old: Embeddings, new: Embeddings, seed: int = 0) -> list[IndexBundle]:
    """The same indexes, built of the old passages only, the new ones added."""
    trainings = trainings_of(old, seed=seed)
    factories = [candidate.bundle.factory for candidate in built]
    return [added(build_index(old, factory, seed=seed, trainings=trainings), new) for factory in factories]


def _rows(embeddings: Embeddings, rows: np.ndarray) -> Embeddings:
    return replace(embeddings, ids=[embeddings.ids[row] for row in rows], vectors=embeddings.vectors[rows])


def _compared(index: Any, n_queries: int) -> float:
    """By faiss's own counters; they count no centres of cells, and nothing where every vector is read."""
    counted = (COUNTERS.indexIVF_stats.ndis + COUNTERS.hnsw_stats.ndis) / n_queries
    cells = faiss.try_extract_index_ivf(index)
    return counted + (cells.nlist if cells else 0) if counted else float(index.ntotal)


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start

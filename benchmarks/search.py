"""What the index bundle adds to faiss, and how it stands against datasets' search and hnswlib.

Two threads, one process. Rounds are interleaved, so that what else the machine does meets every side; a ratio is the
median of the rounds' own. The vectors: all-MiniLM-L6-v2 on passages of the countries knowledge base with its 30,000
cities, each cut to 24 tokens so that encoding takes about two minutes; the larger set, 300,000, is synthetic: the same
ones jittered. Other passages of the same kind are the queries. Run: python benchmarks/search.py [--quick]

(a) the bundle / bare faiss, the same index: a Run of ids there, arrays of row numbers here, the same neighbours
(b) Flat in batches, faiss's own threshold for matrix products / the bundle's
(c) datasets' get_nearest_examples_batch / the bundle, the same index attached
(d) the bundle's HNSW / hnswlib, each at the least effort that finds 95% of the true neighbours
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

THREADS = 2
os.environ |= {"OMP_NUM_THREADS": str(THREADS), "GOMP_SPINCOUNT": "10000"}  # read on import, as by run.py
os.environ |= {"TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}

import faiss  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from rounds import Sides, timed  # noqa: E402

FAISS_THRESHOLD = faiss.cvar.distance_compute_blas_threshold  # before the bundle sets its own

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table  # noqa: E402
from hiddenstates.core.params import Countries  # noqa: E402
from hiddenstates.core.relevance import Run  # noqa: E402
from hiddenstates.core.strategy import DEFAULT  # noqa: E402
from hiddenstates.corpora.countries.world import read_world  # noqa: E402
from hiddenstates.encoding.embeddings.pooled import Embeddings  # noqa: E402
from hiddenstates.encoding.encoder import load_encoder  # noqa: E402
from hiddenstates.retrieval.index import IndexBundle, agreement, build_index  # noqa: E402

MODEL, TOKENS = "sentence-transformers/all-MiniLM-L6-v2", 24
QUERIES, DEPTH = 1_000, 10
WANTED = 0.95
LINKS, BUILD_EFFORT = 16, 40  # of a vector in the graph, and while it is built: faiss's defaults
EFFORTS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512)
SYNTHETIC = 300_000
JITTER = 0.3  # length of what is added to a vector of length 1

Vectors = np.ndarray


def passages(n: int) -> Vectors:
    """n passages and `QUERIES` more, embedded, in random order."""
    rows = read_world(Countries(cities=30_000)).passages
    chosen = np.random.default_rng(0).permutation(len(rows))[: n + QUERIES]
    encoder = load_encoder(MODEL, max_tokens=TOKENS)
    return encoder.encode([f"{rows[i]['title']} {rows[i]['text']}" for i in chosen], DEFAULT).vectors


def unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def jittered(vectors: Vectors, times: int) -> Vectors:
    """Each vector several times, moved a little in a random direction."""
    random = np.random.default_rng(0)
    copies = np.tile(vectors, (times, 1))
    return unit(copies + JITTER * unit(random.standard_normal(copies.shape, dtype=np.float32)))


def named(vectors: Vectors, name: str) -> Embeddings:
    return Embeddings([f"{name}{i}" for i in range(len(vectors))], vectors, DEFAULT, MODEL)


def batches(queries: Embeddings, size: int) -> Iterator[Embeddings]:
    """As many as make a timing: of single queries, 50."""
    for first in range(0, min(len(queries.ids), 50 * size), size):
        rows = slice(first, first + size)
        yield replace(queries, ids=queries.ids[rows], vectors=queries.vectors[rows])


def each(search: Callable[[Any], object], asked: Sequence[Any]) -> None:
    for queries in asked:
        search(queries)


def told(part: str, what: str, sides: Sides, n_queries: int, rounds: int) -> None:
    """Both sides in microseconds a query, and the first over the second."""
    (above, over), (below, under) = timed(sides, rounds).items()
    ratio = median(x / y for x, y in zip(over, under, strict=True))
    micro = [1e6 * median(seconds) / n_queries for seconds in (over, under)]
    print(
        f"({part}) {what}: {above} {micro[0]:,.1f} us / {below} {micro[1]:,.1f} us a query, ratio {ratio:.2f}",
        flush=True,
    )


def same(bundle: IndexBundle, queries: Embeddings) -> None:
    """The bundle's Run holds bare faiss's rows and scores, in their order, or the benchmark ends."""
    scores, rows = bundle.index.search(queries.vectors, DEPTH)
    expected = {
        query: {bundle.ids[r]: float(s) for r, s in zip(rr, ss, strict=True) if r >= 0}
        for query, rr, ss in zip(queries.ids, rows, scores, strict=True)
    }
    found = bundle.search(queries, DEPTH).rows
    assert [list(row.items()) for row in found.values()] == [list(row.items()) for row in expected.values()]


def overhead(bundle: IndexBundle, queries: Embeddings, rounds: int) -> None:
    for size in (1, 32, QUERIES):
        asked = list(batches(queries, size))
        for query in asked:
            same(bundle, query)
        arrays = [query.vectors for query in asked]
        sides: Sides = {
            "bundle": partial(each, partial(bundle.search, depth=DEPTH), asked),
            "faiss": partial(each, lambda vectors: bundle.index.search(vectors, DEPTH), arrays),
        }
        told("a", f"{bundle.factory}, {size} at once", sides, sum(len(a) for a in arrays), rounds)


def thresholds(bundle: IndexBundle, queries: Embeddings, rounds: int) -> None:
    def search(threshold: int, arrays: Sequence[Vectors]) -> None:
        faiss.cvar.distance_compute_blas_threshold = threshold
        each(lambda vectors: bundle.index.search(vectors, DEPTH), arrays)

    ours = faiss.cvar.distance_compute_blas_threshold
    for size in (8, 32, 128, QUERIES):
        arrays = [query.vectors for query in batches(queries, size)][:3]
        sides: Sides = {f"at {t:,}": partial(search, t, arrays) for t in (FAISS_THRESHOLD, ours)}
        if size < ours:  # below it both are the same: what if it were lower?
            sides = {f"at {t:,}": partial(search, t, arrays) for t in (ours, 1)}
        told("b", f"Flat, {size} at once", sides, sum(len(a) for a in arrays), rounds)
    faiss.cvar.distance_compute_blas_threshold = ours


def against_datasets(bundle: IndexBundle, kb: KnowledgeBase, queries: Embeddings, rounds: int) -> None:
    rows = bundle.attach(kb).passages
    some = next(batches(queries, 100))
    found = rows.get_nearest_examples_batch("index", some.vectors, DEPTH).total_examples
    assert [each["id"] for each in found] == [list(row) for row in bundle.search(some, DEPTH).rows.values()]
    sides: Sides = {
        "datasets": partial(rows.get_nearest_examples_batch, "index", some.vectors, DEPTH),
        "bundle": partial(bundle.search, some, DEPTH),
    }
    told("c", f"{bundle.factory}, {len(some.ids)} at once", sides, len(some.ids), rounds)


def against_hnswlib(ours: IndexBundle, vectors: Vectors, queries: Embeddings, exact: Run, rounds: int) -> None:
    if find_spec("hnswlib") is None:
        print("(d) skipped: hnswlib is not installed (pip install hnswlib; it has no wheel and wants a C++ compiler)")
        return
    theirs, seconds = graph(vectors)
    print(f"    built by one thread in {seconds:.1f} s by hnswlib")

    def their_run(effort: int) -> Run:
        theirs.set_ef(effort)
        found = theirs.knn_query(queries.vectors, DEPTH)[0]
        return Run({q: {f"p{p}": 0.0 for p in row} for q, row in zip(queries.ids, found, strict=True)})

    def our_run(effort: int) -> Run:
        ours.index.hnsw.efSearch = effort
        return ours.search(queries, DEPTH)

    (effort, recall), (their_effort, their_recall) = (least(run, exact) for run in (our_run, their_run))
    what = f"HNSW{LINKS}, effort {effort} and {their_effort}, recall {recall:.3f} and {their_recall:.3f}"
    for size in (1, QUERIES):
        asked = list(batches(queries, size))
        sides: Sides = {
            "bundle": partial(each, partial(ours.search, depth=DEPTH), asked),
            "hnswlib": partial(each, lambda q: theirs.knn_query(q.vectors, DEPTH), asked),
        }
        told("d", f"{what}, {size} at once", sides, sum(len(a.ids) for a in asked), rounds)


def graph(vectors: Vectors) -> tuple[Any, float]:
    """hnswlib's index with faiss's settings, and the seconds that one thread takes to build it."""
    import hnswlib

    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), M=LINKS, ef_construction=BUILD_EFFORT)
    index.set_num_threads(THREADS)
    start = perf_counter()
    index.add_items(vectors, num_threads=1)
    return index, perf_counter() - start


def least(run: Callable[[int], Run], exact: Run) -> tuple[int, float]:
    """The least effort that finds what is wanted, and what it finds; the last one where none does."""
    for effort in EFFORTS:
        recall = agreement(run(effort), exact)
        if recall >= WANTED:
            break
    return effort, recall


def compare(what: str, vectors: Vectors, asked: Vectors, rounds: int) -> None:
    stored, queries = named(vectors, "p"), named(asked, "q")
    kb = KnowledgeBase(table(({"id": id, "text": f"Passage {id}."} for id in stored.ids), PASSAGE_COLUMNS), Path(), "1")
    print(f"{len(stored.ids):,} vectors of {vectors.shape[1]} dimensions, {what}; {len(queries.ids):,} queries")
    flat = build_index(stored, kb=kb)
    start = perf_counter()
    hnsw = build_index(stored, f"HNSW{LINKS}", kb=kb)
    print(f"    HNSW{LINKS} built by one thread in {perf_counter() - start:.1f} s by faiss", flush=True)
    hnsw.index.hnsw.efSearch = 64
    for bundle in (flat, hnsw):
        overhead(bundle, queries, rounds)
    thresholds(flat, queries, rounds)
    for bundle in (flat, hnsw):
        against_datasets(bundle, kb, queries, rounds)
    against_hnswlib(hnsw, vectors, queries, flat.search(queries, DEPTH), rounds)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small random vectors, to see that it runs")
    parser.add_argument("--real", type=int, default=30_000, help="real vectors, 31,000 at most")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(THREADS)
    if chosen.quick:
        random = unit(np.random.default_rng(0).standard_normal((500 + QUERIES, 16), dtype=np.float32))
        compare("random", random[QUERIES:], random[:QUERIES], 1)
        return
    embedded = passages(chosen.real)
    asked, real = embedded[:QUERIES], embedded[QUERIES:]
    compare("real", real, asked, chosen.rounds)
    compare("synthetic", jittered(real, SYNTHETIC // len(real)), asked, chosen.rounds)


if __name__ == "__main__":
    main()

"""Words beside vectors: a strategy's cosine and BM25 in one score, over all passages, and how much each should weigh.

score = weight · cosine + (1 − weight) · BM25 / the query's best BM25

A passage that shares no word with the query has 0 there, and a query that shares none with any passage goes by the
cosine alone. BM25 has no upper bound; divided by its best, it weighs alike for short queries and long ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64, Int32

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import AnyStrategy, Fused, fused
from hiddenstates.core.relevance import Run
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.retrieval.bm25 import Words, fuse
from hiddenstates.retrieval.ranks.exact import TIE, count_judged
from hiddenstates.retrieval.ranks.gram import Pairs
from hiddenstates.retrieval.strategies.sweep import Sweep, by_rank, check_order, from_cosines, judged_pairs

WEIGHTS = tuple(step / 20 for step in range(6, 21))
"""Of the cosine, in twentieths, as all that is fused here; 1 leaves the words out."""

PRIOR = 0.8
"""The cosine's weight that gained on every collection tried, unchosen."""

CURVE = 0.5
"""What a weight is expected to lose against the prior's, for the square of their distance: .02 at .6 and at 1."""

PSEUDO_QUERIES = 100
"""How many dev queries the prior counts for. It is the ratio of two variances: of one query's difference between two
weights (about .1²), and of the difference between collections in what a weight gains on the mean (about .01²)."""

QUERIES_AT_ONCE = 256  # queries whose scores are in memory, in float64

Scores = Float64[np.ndarray, "query passage"]


def sweep_words(
    states: TaskStates,
    task: Task,
    strategies: Sequence[AnyStrategy],
    words: Words,
    measures: Sequence[str],
    whitening: Whitenings | None = None,
    weights: Sequence[float] = WEIGHTS,
) -> Sweep:
    """Score each strategy beside the words, under each weight, on the task's queries, in float64.

    Rows: strategy by strategy, in the order of the weights. Its `strategies` are `Fused`, and under weight 1 the
    strategy alone.
    """
    check_order(states, task)
    pairs = judged_pairs(task)
    systems = [fused(strategy, weight) for strategy in strategies for weight in weights]
    rows = []
    for strategy in strategies:
        blocks = _blocks(strategy, states, task, words, whitening)
        rows += [
            np.hstack(found) for found in zip(*(_row(block, pairs, task, weights) for block in blocks), strict=True)
        ]
    if task.measure == "similarity":
        return from_cosines(np.stack(rows), task, measures, systems, [])
    return by_rank(np.stack(rows), pairs, task, measures, systems, [])


@one_thread()
def search_words(
    states: TaskStates, task: Task, system: Fused, words: Words, depth: int, whitening: Whitenings | None = None
) -> Run:
    """The `depth` best passages of each query, of all passages; for similarity, just the judged pairs.

    On one thread, as `search`.
    """
    check_order(states, task)
    if task.measure == "similarity":
        whole = _searched(states, task, system, words, whitening, len(states.passages.ids))
        return Run(
            {query: {passage: whole[query][passage] for passage in row} for query, row in task.qrels.rows.items()}
        )
    return task.searched(partial(_searched, states, task, system, words, whitening), depth)


def _searched(
    states: TaskStates, task: Task, system: Fused, words: Words, whitening: Whitenings | None, depth: int
) -> Run:
    rows, ids = {}, states.passages.ids
    for block in _blocks(system.strategy, states, task, words, whitening):
        for query, row in zip(block.queries, block.mixed(system.weight), strict=True):
            rows[query] = {ids[i]: float(row[i]) for i in np.argsort(-row, kind="stable")[:depth].tolist()}
    return Run(rows)


def choose_weight(means: Sequence[float], weights: Sequence[float], n: int) -> float:
    """The cosine's weight, chosen on n dev queries and pulled towards `PRIOR` where they are few; of equals the first.

    As if `PSEUDO_QUERIES` more had been asked, of which each weight loses what `CURVE` says: the mean that a normal
    prior of this curve and variance leaves. 30 queries count for a quarter, 300 for three quarters.

    means: of the measure under each weight, over these queries (each set weighing the same)
    """
    if len(means) != len(weights) or not means:
        raise LabError(f"words: {len(means)} means for {len(weights)} weights. Give each weight its mean.")
    offered = np.asarray(weights)
    expected = -CURVE * np.square(offered - PRIOR)
    return float(offered[np.argmax(n * np.asarray(means) + PSEUDO_QUERIES * expected)])


@dataclass(frozen=True)
class _Block:
    """Some queries, from row `first` of the task's: their cosines with every passage, and BM25."""

    first: int
    queries: list[str]
    cosines: Scores
    bm25: Scores

    def mixed(self, weight: float) -> Scores:
        return fuse(self.cosines, self.bm25, weight)


def _blocks(
    strategy: AnyStrategy, states: TaskStates, task: Task, words: Words, whitening: Whitenings | None
) -> Iterator[_Block]:
    if words.ids != states.passages.ids:
        raise LabError("words: they are not those of the states' passages in their order. Take Words.of(task.kb).")
    passages = _units(states.passages.embed(strategy, whitening).vectors)
    queries, texts = task.queries["id"][:], task.queries["text"][:]
    for first in range(0, len(queries), QUERIES_AT_ONCE):
        some = slice(first, first + QUERIES_AT_ONCE)
        asked = _units(states.queries.select(queries[some]).embed(strategy, whitening).vectors)
        own = queries[some] if task.ignore_identical_ids else []
        bm25 = words.without(own, words.scores(texts[some])).astype(np.float64)
        yield _Block(first, queries[some], asked @ passages.T, bm25)


def _units(vectors: np.ndarray) -> Float64[np.ndarray, "item width"]:
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def _row(block: _Block, pairs: Pairs, task: Task, weights: Sequence[float]) -> list[np.ndarray]:
    """Of each weight the ranks of the block's judged pairs, or for similarity their scores."""
    judged = pairs.of(block.first, block.first + len(block.queries))
    find = _own if task.measure == "similarity" else _ranks
    return [find(block.mixed(weight), judged) for weight in weights]


def _own(scores: Scores, pairs: Pairs) -> Float64[np.ndarray, " pair"]:
    return scores[pairs.query, pairs.passage]


def _ranks(scores: Scores, pairs: Pairs) -> Int32[np.ndarray, " pair"]:
    """Ties come first, but for passages that are judged at least as relevant."""
    own = _own(scores, pairs)
    scores[pairs.query, pairs.passage] = -np.inf  # judged ones are compared with one another, below
    above = np.empty((len(own), 1), dtype=np.int32)
    for query in np.unique(pairs.query):
        of_query = pairs.query == query
        ordered = np.sort(scores[query])
        above[of_query, 0] = len(ordered) - np.searchsorted(ordered, own[of_query] - TIE)
    offsets = np.searchsorted(pairs.query, np.arange(len(scores) + 1))
    count_judged(above, own[:, None], np.full((len(own), 1), TIE), pairs.query, pairs.grade, offsets)
    return 1 + above[:, 0]

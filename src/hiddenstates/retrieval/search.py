"""Exact search of a task's queries under a strategy."""

from functools import partial

import numpy as np

from hiddenstates.core.data import Task
from hiddenstates.core.joined import AnyStrategy
from hiddenstates.core.relevance import Run
from hiddenstates.core.threads import one_thread
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.retrieval.index import IndexBundle, build_index


@one_thread()
def search(
    states: TaskStates, task: Task, strategy: AnyStrategy, depth: int, whitening: Whitenings | None = None
) -> Run:
    """The exact search of the task's queries under a strategy; for similarity, just the judged pairs.

    On one thread, so that a run file does not depend on how many there are.
    """
    passages = states.passages.embed(strategy, whitening)
    queries = states.queries.select(task.queries["id"][:]).embed(strategy, whitening)
    if task.measure == "similarity":
        return _judged(passages, queries, task)
    index = build_index(passages)
    return task.searched(lambda depth: index.search(queries, depth), depth)


def _judged(passages: Embeddings, queries: Embeddings, task: Task) -> Run:
    row = {name: i for i, name in enumerate(passages.ids)}
    cosines = {}
    for query, vector in zip(queries.ids, queries.vectors, strict=True):
        names = list(task.qrels[query])
        values = np.asarray(passages.vectors[[row[name] for name in names]] @ vector)
        cosines[query] = dict(zip(names, map(float, values), strict=True))
    return Run(cosines)


@one_thread()
def search_index(bundle: IndexBundle, queries: Embeddings, task: Task, depth: int) -> Run:
    """The index's search of the task's queries; for similarity, its scores of just the judged pairs.

    Where the bundle has words, the queries' texts ask, too. On one thread, as `search`.
    """
    told = dict(zip(task.queries["id"][:], task.queries["text"][:], strict=True))
    texts = [told[query] for query in queries.ids] if bundle.words else None
    if task.measure == "retrieval":
        ask = partial(bundle.search, queries, texts=texts, ignore_identical_ids=task.ignore_identical_ids)
        return task.searched(ask, depth)
    found = bundle.search(queries, len(bundle.ids), texts)
    return Run({query: {name: found[query][name] for name in task.qrels[query]} for query in queries.ids})

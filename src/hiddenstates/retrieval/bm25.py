"""BM25, the baseline that knows nothing of meaning (Robertson & Zaragoza 2009), by the package bm25s."""

from collections.abc import Sequence

import bm25s

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Run


def bm25_run(task: Task, depth: int) -> Run:
    """The `depth` best passages of each query; those that share no word with it are left out.

    For similarity, the score of each judged pair, 0 where the two share no word.
    """
    ids = task.kb.ids
    retriever = bm25s.BM25()  # k1 = 1.5, b = 0.75, as in Lucene
    retriever.index(_words(task.kb.texts()), show_progress=False)
    asked = _words(task.queries["text"])

    def best(depth: int) -> Run:
        found, scores = retriever.retrieve(asked, k=min(depth, len(ids)), show_progress=False)
        rows = zip(task.queries["id"], found, scores, strict=True)
        return Run(
            {q: {ids[p]: float(s) for p, s in zip(row, values, strict=True) if s > 0} for q, row, values in rows}
        )

    if task.measure == "retrieval":
        return task.searched(best, depth)
    whole = best(len(ids))
    return Run({query: {p: whole[query].get(p, 0.0) for p in task.qrels[query]} for query in whole})


def _words(texts: Sequence[str]) -> bm25s.tokenization.Tokenized:
    return bm25s.tokenize(list(texts), stopwords="en", show_progress=False)

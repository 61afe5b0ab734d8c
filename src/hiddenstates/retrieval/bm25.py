"""BM25, the baseline that knows nothing of meaning (Robertson & Zaragoza 2009), by the package bm25s."""

from collections.abc import Sequence

import bm25s

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Run


def bm25_run(task: Task, depth: int) -> Run:
    """The `depth` best passages of each query; those that share no word with it are left out.

    For similarity, the score of each judged pair, 0 where the two share no word.
    """
    judged = task.measure == "similarity"
    ids = task.kb.ids
    retriever = bm25s.BM25()  # k1 = 1.5, b = 0.75, as in Lucene
    retriever.index(_words(task.kb.texts()), show_progress=False)
    k = len(ids) if judged else min(depth, len(ids))
    found, scores = retriever.retrieve(_words(task.queries["text"]), k=k, show_progress=False)
    rows = {}
    for query, passages, values in zip(task.queries["id"], found, scores, strict=True):
        row = {ids[p]: float(s) for p, s in zip(passages, values, strict=True) if s > 0}
        rows[query] = {passage: row.get(passage, 0.0) for passage in task.qrels[query]} if judged else row
    return Run(rows)


def _words(texts: Sequence[str]) -> bm25s.tokenization.Tokenized:
    return bm25s.tokenize(list(texts), stopwords="en", show_progress=False)

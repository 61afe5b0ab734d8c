"""BM25's answers to the queries of a task."""

from collections.abc import Sequence
from functools import partial

from hiddenstates.core.data import KnowledgeBase, Task
from hiddenstates.core.relevance import Run
from hiddenstates.retrieval.bm25.asked import AskedWords
from hiddenstates.retrieval.bm25.searching import WordSearch
from hiddenstates.retrieval.bm25.texts import Language
from hiddenstates.retrieval.bm25.words import Words

IN_MEMORY = 65_536
"""Of so many passages all words are in memory; of more, those that are asked, on disk."""


def searchable(kb: KnowledgeBase, texts: Sequence[str], language: Language | None = "english") -> WordSearch:
    """The passages by their words. texts: all that will be asked"""
    return Words.of(kb, language) if len(kb.passages) <= IN_MEMORY else AskedWords.of(kb, texts, language)


def bm25_run(task: Task, depth: int, language: Language | None = "english") -> Run:
    """The `depth` best passages of each query; those that share no word with it are left out.

    For similarity, the score of each judged pair, 0 where the two share no word.
    """
    queries, texts = task.queries["id"][:], task.queries["text"][:]
    if task.measure == "retrieval":
        return task.searched(partial(searchable(task.kb, texts, language).run, queries, texts), depth)
    words = Words.of(task.kb, language)
    row, scores = {id: i for i, id in enumerate(words.ids)}, words.scores(texts)
    return Run({q: {p: float(line[row[p]]) for p in task.qrels[q]} for q, line in zip(queries, scores, strict=True)})

"""The search of all passages of a corpus from which a pool was drawn: what the pool chose, confirmed."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Run
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.sharding.sharded import holds
from hiddenstates.retrieval.bm25 import WordSearch, searchable
from hiddenstates.retrieval.index import IndexBundle
from hiddenstates.retrieval.index.beside import Asked, best_of_both
from hiddenstates.retrieval.index.streaming import search_shards
from hiddenstates.retrieval.search import search_index


def search_everything(
    choice: Choice, states: TaskStates, everything: Task, served: IndexBundle, published: Path, depth: int
) -> dict[str, Run]:
    """The `depth` best of all passages for each test question: `bm25`, `default`, `chosen`, and `fused` if advised.

    states:    of the pool; those of the questions are all there
    served:    the index of all passages by the choice
    published: the folder of the published embedding of all passages; `default` is left out if it is another encoder's
    """
    test = everything.select(split="test")
    queries = states.queries.select(test.queries["id"][:])
    asked, usual = choice.embed(queries), queries.embed(states.default)
    texts = test.queries["text"][:]
    words = searchable(everything.kb, texts)
    runs = {"bm25": test.searched(partial(words.run, usual.ids, texts), depth)}
    if holds(published, usual.strategy, usual.fingerprint):
        runs["default"] = test.searched(partial(search_shards, published, usual), depth)
    runs["chosen"] = search_index(replace(served, words=None), asked, test, depth)
    if choice.weight < 1:
        both = Asked(asked.vectors, texts, asked.ids if test.ignore_identical_ids else [])
        runs["fused"] = test.searched(partial(_search_both, served, words, choice.weight, asked.ids, both), depth)
    return runs


def _search_both(
    served: IndexBundle, words: WordSearch, weight: float, queries: Sequence[str], asked: Asked, depth: int
) -> Run:
    if len(words.ids) != len(served.ids):
        raise LabError(
            f"index: it holds {len(served.ids):,} of {len(words.ids):,} passages, so their words cannot stand beside "
            "its vectors. Run the stage `index` again."
        )
    return Run(dict(zip(queries, best_of_both(served.index, words, weight, asked, depth), strict=True)))

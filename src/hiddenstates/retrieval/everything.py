"""The search of all passages of a corpus from which a pool was drawn: what the pool chose, confirmed."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.core.relevance import Run
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.sharded import holds
from hiddenstates.encoding.states import TaskStates
from hiddenstates.retrieval.bm25 import Words
from hiddenstates.retrieval.index import IndexBundle
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
    words = Words.of(everything.kb)
    texts = test.queries["text"][:]
    runs = {"bm25": test.searched(partial(words.run, usual.ids, texts), depth)}
    if holds(published, usual.strategy, usual.fingerprint):
        runs["default"] = test.searched(partial(search_shards, published, usual), depth)
    runs["chosen"] = search_index(served, asked, test, depth)
    if choice.weight < 1:
        both = replace(served, words=words, weight=choice.weight)
        runs["fused"] = search_index(both, asked, test, depth)
    return runs

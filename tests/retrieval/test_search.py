from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import STATES

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.retrieval.index import build_index
from hiddenstates.retrieval.search import search, search_index

# Three layers of two dimensions, all alike but the first.
PASSAGES = np.array([[[1, 1], [2, 1], [1, 3]]] + 2 * [[[3, 4], [1, 0], [0, 5]]], dtype=np.float32)
QUERIES = np.array([[[5, 1], [1, 5]]] + 2 * [[[2, 0], [0, 2]]], dtype=np.float32)


def states() -> TaskStates:
    passages = PooledStates(["a", "b", "c"], {"mean": PASSAGES}, STATES, "abc")
    return TaskStates(passages, PooledStates(["q0", "q1"], {"mean": QUERIES}, STATES, "abc"))


def task(measure: str = "retrieval") -> Task:
    passages = table([{"id": i} for i in "abc"], PASSAGE_COLUMNS)
    queries = table([{"id": "q1"}, {"id": "q0"}], QUERY_COLUMNS)  # in another order than the states
    qrels = Qrels({"q1": {"c": 1.0, "a": 0.5}, "q0": {"a": 1.0}})
    return Task(KnowledgeBase(passages, Path(), "r"), queries, qrels, measure)  # type: ignore[arg-type]


def test_by_hand() -> None:
    run = search(states(), task(), Strategy.parse("-1/mean"), depth=3)
    assert list(run) == ["q1", "q0"]
    assert run["q0"] == pytest.approx({"b": 1, "a": 3 / 5, "c": 0})
    assert run["q1"] == pytest.approx({"c": 1, "a": 4 / 5, "b": 0})
    assert list(search(states(), task(), Strategy.parse("-1/mean"), depth=1)["q0"]) == ["b"]


def test_similarity_scores_the_judged_pairs_only() -> None:
    run = search(states(), task("similarity"), Strategy.parse("-1/mean"), depth=1)
    assert run["q1"] == pytest.approx({"c": 1, "a": 4 / 5})
    assert run["q0"] == pytest.approx({"a": 3 / 5})


@pytest.mark.parametrize("measure", ["retrieval", "similarity"])
def test_an_index_finds_what_the_search_finds(measure: str) -> None:
    strategy, asked = Strategy.parse("-1/mean"), task(measure)
    bundle = build_index(states().passages.embed(strategy))
    questions = states().queries.select(asked.queries["id"]).embed(strategy)
    found, wanted = search_index(bundle, questions, asked, depth=2), search(states(), asked, strategy, depth=2)
    assert {query: dict(row) for query, row in found.rows.items()} == {
        q: pytest.approx(r) for q, r in wanted.rows.items()
    }


def test_queries_without_states_are_named() -> None:
    fewer = TaskStates(states().passages, states().queries.select(["q0"]))
    with pytest.raises(LabError, match="no states of item 'q1'"):
        search(fewer, task(), Strategy.parse("-1/mean"), depth=1)


def test_a_query_that_is_a_passage_does_not_find_itself() -> None:
    asked = replace(task(), queries=table([{"id": "a"}], QUERY_COLUMNS), qrels=Qrels({"a": {"c": 1.0}}))
    same = TaskStates(states().passages, states().passages.select(["a"]))
    strategy = Strategy.parse("-1/mean")
    assert list(search(same, asked, strategy, depth=2)["a"]) == ["a", "c"]
    itself = replace(asked, ignore_identical_ids=True)
    bundle = build_index(same.passages.embed(strategy))
    for run in (
        search(same, itself, strategy, depth=2),
        search_index(bundle, same.queries.embed(strategy), itself, depth=2),
    ):
        assert list(run["a"]) == ["c", "b"]
    assert list(search(same, itself, strategy, depth=1)["a"]) == ["c"]

from dataclasses import replace

import numpy as np
import pytest
from random_states import asked, states

from hiddenstates.core.data import Task
from hiddenstates.core.joined import Fused
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.retrieval.bm25 import Words
from hiddenstates.retrieval.choosing.sharing import Sharing, search_fused, share_words
from hiddenstates.retrieval.choosing.words import WEIGHTS, search_words
from hiddenstates.retrieval.strategies.sweep import Sweep, sweep


def worded(found: bool) -> Task:
    """Passages of one word each; queries that say the word of a relevant passage, or of another."""
    task = asked()
    texts = [f"word{i}x" for i in range(len(task.kb.ids))]
    passages = task.kb.passages.remove_columns("text").add_column("text", texts)  # type: ignore[arg-type]
    place = {passage: i for i, passage in enumerate(task.kb.ids)}
    said = [max(task.qrels[query], key=task.qrels[query].__getitem__) for query in task.queries["id"][:]]
    words = [texts[(place[passage] + (not found)) % len(texts)] for passage in said]
    queries = task.queries.remove_columns("text").add_column("text", words)  # type: ignore[arg-type]
    columns = task.kb.passages.column_names
    kb = replace(task.kb, passages=passages.select_columns(columns))
    return replace(task, kb=kb, queries=queries.select_columns(task.queries.column_names))


def choice() -> Choice:
    return Choice(Strategy.parse("2/mean"), "abc", {"measure": "mrr@10"})


def test_words_are_advised_where_they_find_and_not_where_they_mislead() -> None:
    weight, found = share_words(choice(), states(), worded(True), worded(True).sets, 0)
    assert found is not None
    assert weight < 1
    assert found.gain > 0.1
    weight, found = share_words(choice(), states(), worded(False), worded(False).sets, 0)
    assert found is not None
    assert (weight, found.gain <= 0) == (1, True)


def test_sentence_pairs_have_no_words_beside() -> None:
    assert share_words(choice(), states(), replace(worded(True), measure="similarity"), ["a", "b"], 0) == (1.0, None)


def test_the_search_is_that_of_the_weight_or_of_the_prior() -> None:
    task = worded(True)
    for weight, expected in ((0.6, 0.6), (1.0, 0.8)):
        run = search_fused(replace(choice(), weight=weight), states(), task, 5)
        system = Fused(choice().strategy, expected)
        assert run == search_words(states(), task, system, Words.of(task.kb), 5)


def test_one_query_cannot_move_the_weight_far() -> None:
    task = asked()
    empty = sweep(states(), task, ["mrr@10"]).means.iloc[:0]
    values = np.tile(np.array(WEIGHTS, dtype=np.float32)[:, None] < 0.34, (1, len(task.queries))).astype(np.float32)
    procedure = Sharing(Sweep([], empty, {"mrr@10": values}, []), task, "mrr@10", task.sets)
    rows = np.zeros(len(task.queries), dtype=bool)
    rows[0] = True
    assert float(procedure(rows).name) == pytest.approx(0.8)
    assert float(procedure(~rows & True).name) == pytest.approx(0.3)

"""What dev does not tell apart from the published embedding is not followed, however good it looks."""

from pathlib import Path

import numpy as np
import pytest

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.forward.families import State
from hiddenstates.report.keeping import choose_or_keep
from hiddenstates.retrieval.strategies.sweep import sweep

N = 40
DEFAULT = Strategy.parse("-1/mean")


def task() -> Task:
    kb = KnowledgeBase(table([{"id": f"p{i}"} for i in range(N)], PASSAGE_COLUMNS), Path(), "test")
    rows = [{"id": f"q{i}", "set": "all", "split": "dev", "entity": f"e{i}"} for i in range(N)]
    return Task(kb, table(rows, QUERY_COLUMNS), Qrels({f"q{i}": {f"p{i}": 1.0} for i in range(N)}))


def states(wrong: int) -> TaskStates:
    """Two states of unit vectors: the first is right of every question, the last wrong of so many."""
    own = np.eye(N, dtype=np.float32)
    asked = np.stack([own, own[[*reversed(range(wrong)), *range(wrong, N)]]])
    made = (State("embeddings"), State("last"))
    passages = PooledStates([f"p{i}" for i in range(N)], {"mean": np.stack([own, own])}, made, "abc")
    return TaskStates(passages, PooledStates([f"q{i}" for i in range(N)], {"mean": asked}, made, "abc"))


def chosen(wrong: int) -> tuple[str, dict[str, object]]:
    found = states(wrong)
    choice = choose_or_keep(found, task(), sweep(found, task(), ["mrr@10"]), "mrr@10", DEFAULT, 10, 0)
    return str(choice.strategy), dict(choice.evidence)


def test_a_lead_that_could_be_luck_is_not_followed() -> None:
    strategy, evidence = chosen(wrong=2)
    assert strategy == "1/mean"
    assert evidence["score"] == pytest.approx(38 / 40, abs=0.01)  # its own, not that of the best
    assert evidence["best"] != "1/mean"


def test_a_lead_that_the_test_tells_is() -> None:
    strategy, evidence = chosen(wrong=30)
    assert strategy != "1/mean"
    assert evidence["score"] == 1.0

"""Random states of a made-up task, for every test of what is swept and chosen."""

from pathlib import Path

import numpy as np
from tiny import STATES

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates

MEASURES = ["recall@3", "mrr@10", "ndcg@10"]
N_PASSAGES, N_QUERIES, WIDTH = 90, 30, 8
TRAIN = [f"p{i}" for i in range(5, 60)]  # what whitenings are fitted on


def task(measure: str = "retrieval", seed: int = 0) -> Task:
    """Two sets of queries, the third query without anything to find, the others with 1 to 3 graded passages."""
    random = np.random.default_rng(seed)
    ids = [f"p{i}" for i in range(N_PASSAGES)]
    queries = table([{"id": f"q{i}", "set": "ab"[i % 3 == 0]} for i in range(N_QUERIES)], QUERY_COLUMNS)
    judged = {}
    for i, query in enumerate(queries["id"]):
        some = random.permutation(ids)[: 1 + i % 3]
        judged[query] = {str(p): float(g) for p, g in zip(some, random.integers(0, 4, size=3), strict=False)}
    judged["q0"], judged["q2"] = {"p3": 2.0}, {"p3": 0.0}  # and nothing in q2 is relevant
    kb = KnowledgeBase(table([{"id": i} for i in ids], PASSAGE_COLUMNS), Path(), "r")
    return Task(kb, queries, Qrels(judged), measure)  # type: ignore[arg-type]


def states(seed: int = 0) -> TaskStates:
    """Random states under two poolings; the queries stand in another order than in the task, with others between."""
    random = np.random.default_rng(seed)

    def some(ids: list[str]) -> PooledStates:
        shape = (len(STATES), len(ids), WIDTH)
        scale = np.array([1, 3, 10])[:, None, None]
        values = {pool: (scale * random.normal(0.3, 1, shape)).astype(np.float32) for pool in ("first", "mean")}
        return PooledStates(ids, values, STATES, "abc")

    return TaskStates(some([f"p{i}" for i in range(N_PASSAGES)]), some([f"q{i}" for i in range(2 * N_QUERIES)][::-1]))


def asked() -> Task:
    """One set of queries, all with something to find."""
    whole = task()
    return whole.within(whole.kb.ids, [q for q, row in whole.qrels.rows.items() if max(row.values()) > 0])

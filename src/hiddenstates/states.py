"""`TaskStates`: the pooled hidden states of a whole task, which every strategy can be tried on without the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hiddenstates.data import Task
from hiddenstates.encoder import Encoder
from hiddenstates.index import build_index
from hiddenstates.pooled import Embeddings, PooledStates
from hiddenstates.relevance import Run
from hiddenstates.strategy import DEFAULT, Strategy


@dataclass(frozen=True)
class TaskStates:
    """The pooled hidden states of a task's passages and of its queries."""

    passages: PooledStates
    queries: PooledStates

    def save(self, folder: Path) -> None:
        """passages.safetensors and queries.safetensors."""
        self.passages.save(folder / "passages.safetensors")
        self.queries.save(folder / "queries.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "TaskStates":
        """What `save` wrote."""
        return cls(*(PooledStates.load(folder / f"{name}.safetensors") for name in ("passages", "queries")))

    @property
    def default(self) -> Strategy:
        """The published default, its layer counted from 0 for this model."""
        return DEFAULT.resolve(len(self.passages.state_map))


def pool_task(encoder: Encoder, task: Task, poolings: Sequence[str]) -> TaskStates:
    """One forward pass over every passage and every query."""
    passages = encoder.pool(task.kb.ids, task.kb.texts(), poolings)
    return TaskStates(passages, encoder.pool(task.queries["id"], task.queries["text"], poolings))


def search(states: TaskStates, task: Task, strategy: Strategy, depth: int) -> Run:
    """The exact search of the task's queries under a strategy; for similarity, just the judged pairs."""
    passages = states.passages.embed(strategy)
    queries = states.queries.select(task.queries["id"]).embed(strategy)
    if task.measure == "similarity":
        return _judged(passages, queries, task)
    return build_index(passages).search(queries, depth)


def _judged(passages: Embeddings, queries: Embeddings, task: Task) -> Run:
    row = {name: i for i, name in enumerate(passages.ids)}
    cosines = {}
    for query, vector in zip(queries.ids, queries.vectors, strict=True):
        names = list(task.qrels[query])
        values = np.asarray(passages.vectors[[row[name] for name in names]] @ vector)
        cosines[query] = dict(zip(names, map(float, values), strict=True))
    return Run(cosines)

"""`TaskStates`: the pooled hidden states of a whole task, which every strategy can be tried on without the model."""

from dataclasses import dataclass
from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.core.strategy import DEFAULT, Strategy
from hiddenstates.encoding.pooled import PooledStates


@dataclass(frozen=True)
class TaskStates:
    """The pooled hidden states of a task's passages and of its queries."""

    passages: PooledStates
    queries: PooledStates

    def save(self, folder: Path) -> None:
        """passages.safetensors and queries.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        self.passages.save(folder / "passages.safetensors")
        self.queries.save(folder / "queries.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "TaskStates":
        """What `save` wrote."""
        return cls(*(PooledStates.load(folder / f"{name}.safetensors") for name in ("passages", "queries")))

    def covered(self, task: Task) -> Task:
        """The task with only the passages and queries that the encoder could read."""
        return task.within(self.passages.ids, self.queries.ids)

    @property
    def default(self) -> Strategy:
        """The published default, its layer counted from 0 for this model."""
        return DEFAULT.resolve(len(self.passages.state_map))

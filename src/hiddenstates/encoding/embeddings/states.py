"""`TaskStates`: the pooled hidden states of a whole task, which every strategy can be tried on without the model."""

from dataclasses import dataclass
from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates


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
        """The embedding to compare with, its layers counted from 0: the published one, or a convention."""
        return self.passages.baseline.strategy.resolve(len(self.passages.state_map))

    @property
    def published(self) -> bool:
        """Whether the default is what the model's makers publish; else it is a convention of its kind."""
        return self.passages.baseline.published

    @property
    def called(self) -> str:
        """What to call the default in a sentence."""
        return f"{'published' if self.published else 'conventional'} embedding"

    @property
    def origin(self) -> str:
        """Who says what the default is: `published: modules.json`, `convention: the mean of the last state`."""
        return str(self.passages.baseline)

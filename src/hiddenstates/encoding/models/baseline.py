"""`Baseline`: the embedding that strategies are compared with. The one that was published, else a convention."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from pydantic import BaseModel

from hiddenstates.core.joined import AnyStrategy, terms
from hiddenstates.core.strategy import DEFAULT, Strategy
from hiddenstates.encoding.models.head import Head, Step

NO_HEAD = Head()
PREFIX = "head."
"""What the names of a head's tensors begin with, where they lie beside others."""


class BaselineAbout(BaseModel):
    """What JSON says of a baseline; its head's tensors lie beside it."""

    strategy: str
    published: bool
    origin: str
    head: list[dict[str, str | float]] = []


@dataclass(frozen=True)
class Baseline:
    """What a model's makers take as its embedding.

    strategy:  the layers count from the last, -1, so that it is the same for models of any depth
    published: whether they say so; else it is a convention of the kind of model
    origin:    who says so, or which convention: a phrase for sentences and tables
    head:      what `+head` in a strategy applies
    """

    strategy: Strategy
    published: bool
    origin: str
    head: Head = field(default=Head(), compare=False)

    def __str__(self) -> str:
        return f"{'published' if self.published else 'convention'}: {self.origin}"

    def then(self, *steps: Step) -> "Baseline":
        """The same, with further modules at the end of its head."""
        if not steps:
            return self
        head = Head((*self.head.steps, *steps))
        return replace(self, strategy=replace(self.strategy, head=True), head=head)

    def dimensions(self, width: int) -> int:
        """Of its vectors, for states of this width."""
        return dimensions(replace(self.strategy, head=True), width, self.head)

    def about(self) -> dict[str, object]:
        """For JSON, as `BaselineAbout` reads it."""
        told = {"strategy": str(self.strategy), "published": self.published, "origin": self.origin}
        return told | {"head": self.head.settings()}

    def tensors(self) -> dict[str, np.ndarray]:
        """What the head computes with, under names that no pooling has."""
        return {f"{PREFIX}{name}": tensor for name, tensor in self.head.tensors().items()}

    @classmethod
    def of(cls, about: BaselineAbout, tensors: Mapping[str, np.ndarray]) -> "Baseline":
        """What `about` and `tensors` say. ValueError or LabError where they make no sense."""
        head = Head.of(about.head, {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()})
        return cls(Strategy.parse(about.strategy), about.published, about.origin, head)


def dimensions(strategy: AnyStrategy, width: int, head: Head = NO_HEAD) -> int:
    """Numbers of the vector that it makes of states of this width. head: what its `+head` applies"""
    return sum(_dimensions(part, width, head) for part in terms(strategy))


def _dimensions(strategy: Strategy, width: int, head: Head) -> int:
    if strategy.reduced:
        return strategy.reduced.dimensions
    combined = width * len(strategy.pools) * (len(strategy.layers) if strategy.combine == "concat" else 1)
    return head.dimensions(combined) if strategy.head else combined


MEAN = Baseline(DEFAULT, False, "the mean of the last state")
LAST = Baseline(Strategy((-1,), "single", "last"), False, "the last token of a causal model")


def convention(causal: bool) -> Baseline:
    """What is done where nobody says anything: a causal model's last token has seen all others, else the mean."""
    return LAST if causal else MEAN

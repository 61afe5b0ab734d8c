"""How much a strategy may cost that is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import AnyStrategy
from hiddenstates.encoding.embeddings.costs import layers_run, vector_bytes
from hiddenstates.encoding.embeddings.pooled import PooledStates


@dataclass(frozen=True)
class Limits:
    """Of each cost the most that is allowed; None: any. layers: that are run; bytes: of a vector in float32"""

    layers: int | None = None
    bytes: int | None = None

    def __bool__(self) -> bool:
        return self.layers is not None or self.bytes is not None

    def __str__(self) -> str:
        told = [f"at most {self.layers} layer{'s' * (self.layers != 1)}"] * (self.layers is not None)
        told += [f"at most {self.bytes:,} bytes per passage"] if self.bytes is not None else []
        return " and ".join(told)

    def hold(self, strategy: AnyStrategy, states: PooledStates) -> bool:
        """Whether the strategy, its layers counted from 0, costs no more."""
        few = self.layers is None or layers_run(strategy) <= self.layers
        return few and (self.bytes is None or vector_bytes(strategy, states) <= self.bytes)

    def check(self, strategies: Sequence[AnyStrategy], states: PooledStates) -> None:
        """LabError where none of the strategies is within them; it says how much is needed at least."""
        if not self or any(self.hold(strategy, states) for strategy in strategies):
            return
        least = min(map(layers_run, strategies), default=0)
        if self.layers is not None and least > self.layers:
            raise LabError(
                f"strategies.layers_at_most: {self.layers}, and no strategy that ranks anything runs fewer layers than "
                f"{least}. Allow {least} or more."
            )
        left = [one for one in strategies if self.layers is None or layers_run(one) <= self.layers]
        smallest = min(vector_bytes(strategy, states) for strategy in left)
        raise LabError(
            f"strategies.bytes_at_most: {self.bytes}, and the shortest vector takes {smallest} bytes. Allow {smallest} "
            "or more, or name fewer dimensions in strategies.dimensions."
        )


ANY = Limits()
"""No limit."""

"""What a strategy costs to serve: layers that are run for a text, bytes that its vector takes."""

from hiddenstates.core.joined import AnyStrategy
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.models.baseline import dimensions

FLOAT32 = 4
"""Bytes of a number."""


def layers_run(strategy: AnyStrategy) -> int:
    """The highest state that it uses: nothing above it is run. Layers counted from 0."""
    return max(strategy.layers)


def vector_bytes(strategy: AnyStrategy, states: PooledStates) -> int:
    """Of one of its vectors in float32, made of these states."""
    width = next(iter(states.values.values())).shape[-1]
    return FLOAT32 * dimensions(strategy, width, states.baseline.head)

"""What sentence-transformers' own modules can say of a strategy, and what takes a module of our own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hiddenstates.core.joined import AnyStrategy, terms
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.whitening import Whitening, Whitenings
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.models.baseline import dimensions
from hiddenstates.encoding.models.head import Head, Linear, Step
from hiddenstates.encoding.models.published import MODES

NATIVE = {ours: theirs for theirs, ours in MODES.items()}
"""Our poolings that sentence-transformers has, and what it calls them."""


@dataclass(frozen=True)
class Plan:
    """The modules behind the transformer.

    layers:    the hidden states that they read
    weights:   of WeightedLayerPooling, from the layer `layers[0]` on; empty where one state is pooled
    modes:     of Pooling; empty where the parts say all
    steps:     after the pooling
    normalize: whether the vector is scaled to length 1 at the end
    parts:     of `CombinedStates`, where native modules cannot say it; and its tensors by name
    """

    layers: tuple[int, ...]
    weights: tuple[float, ...] = ()
    modes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    normalize: bool = False
    parts: tuple[dict[str, Any], ...] = ()
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def native(self) -> bool:
        """Whether sentence-transformers loads it without code of ours."""
        return not self.parts


def plan(strategy: AnyStrategy, whitening: Whitenings, encoder: Encoder) -> Plan:
    """How the strategy is written. It is resolved; whitening: all that it whitens by."""
    if isinstance(strategy, Strategy) and _speakable(strategy):
        return _native(strategy, whitening, encoder)
    parts, tensors = [], dict[str, np.ndarray]()
    for i, (part, weight) in enumerate(terms(strategy).items()):
        parts.append(_part(part, weight, encoder.baseline.head))
        tensors |= {f"{i}.{name}": tensor for name, tensor in _tensors(part, whitening, encoder.baseline.head)}
    return Plan(strategy.layers, parts=tuple(parts), tensors=tensors)


def _speakable(strategy: Strategy) -> bool:
    """One state, or a weighted sum of states, under poolings that sentence-transformers has.

    Its sum is scaled by the sum of the weights, and taken before the pooling: with the maximum that is another vector.
    """
    if strategy.layer_norm or strategy.each is not None or not set(strategy.pools) <= NATIVE.keys():
        return False
    if strategy.combine == "single":
        return True
    scaled = strategy.normalize and not strategy.head and strategy.whiten is None and strategy.reduced is None
    return strategy.combine != "concat" and "max" not in strategy.pools and _total(strategy) > 0 and scaled


def _total(strategy: Strategy) -> float:
    return sum(strategy.weights or (1.0,) * len(strategy.layers))


def _native(strategy: Strategy, whitening: Whitenings, encoder: Encoder) -> Plan:
    weights: tuple[float, ...] = ()
    if strategy.combine != "single":
        given = dict(zip(strategy.layers, strategy.weights or (1.0,) * len(strategy.layers), strict=True))
        weights = tuple(given.get(layer, 0.0) for layer in range(strategy.layers[0], strategy.layers[-1] + 1))
    steps = encoder.baseline.head.steps if strategy.head else ()
    if strategy.whiten is not None:
        steps = (*steps, _linear(whitening.of(strategy.full)))
    if strategy.reduced and strategy.reduced.fitted:
        steps = (*steps, _linear(whitening.of(strategy.scaled)))
    elif strategy.reduced:
        whole = dimensions(replace(strategy, reduced=None), encoder.width, encoder.baseline.head)
        steps = (*steps, Linear(np.eye(strategy.reduced.dimensions, whole, dtype=np.float32)))
    modes = tuple(NATIVE[pool] for pool in strategy.pools)
    return Plan(strategy.layers, weights, modes, steps, strategy.normalize)


def _linear(fitted: Whitening) -> Linear:
    matrix = np.ascontiguousarray(fitted.matrix.T)
    return Linear(matrix, -(matrix.astype(np.float64) @ fitted.mean).astype(np.float32))


def _part(part: Strategy, weight: float, head: Head) -> dict[str, Any]:
    n = len(part.layers)
    weights = list(part.weights) or [1 / n if part.combine == "mean" else 1.0] * n
    return {
        "layers": list(part.layers),
        "pools": part.pools,
        "layer_norm": part.layer_norm,
        "weights": weights,
        "combine": "concat" if part.combine == "concat" else "sum",
        "head": head.settings() if part.head else [],
        "first": part.reduced.dimensions if part.reduced and not part.reduced.fitted else None,
        "normalize": part.normalize,
        "scale": float(np.sqrt(weight)),
    }


def _tensors(part: Strategy, whitening: Whitenings, head: Head) -> list[tuple[str, np.ndarray]]:
    """Each with its name within the part."""
    found: list[tuple[str, np.ndarray]] = []
    if part.head:
        found += [(f"head.{name}", tensor) for name, tensor in head.tensors().items()]
    alone = zip(part.layers, part.states(), strict=True) if part.each is not None else ()
    steps = {f"each.{layer}": state for layer, state in alone}
    steps |= {} if part.whiten is None else {"white": part.full}
    steps |= {"reduced": part.scaled} if part.reduced and part.reduced.fitted else {}
    for name, step in steps.items():
        fitted = whitening.of(step)
        found += [(f"{name}.mean", fitted.mean), (f"{name}.matrix", fitted.matrix)]
    return found

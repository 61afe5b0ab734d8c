"""`PooledStates`, every layer of every item under some poolings, and the `Embeddings` that a strategy makes of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import mapped_tensors, read_as, write_tensors
from hiddenstates.core.joined import AnyStrategy, Joined, terms
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.encoding.forward.families import State, StateMap
from hiddenstates.encoding.models.baseline import MEAN, PREFIX, Baseline, BaselineAbout
from hiddenstates.encoding.models.head import Head

States = Float32[np.ndarray, "layer item d_model"]
NORM_EPSILON = np.float32(1e-12)  # BERT's


class _About(BaseModel):
    """What the header of a file of pooled states says."""

    ids: list[str]
    poolings: list[str]
    state_map: list[State]
    fingerprint: str
    baseline: BaselineAbout


@dataclass(frozen=True)
class Embeddings:
    """One vector per item, and what made it. fingerprint: of the model, and of the whitening if there is one."""

    ids: list[str]
    vectors: Float32[np.ndarray, "item width"]
    strategy: AnyStrategy
    fingerprint: str


@dataclass(frozen=True)
class PooledStates:
    """All the hidden states of some items, each pooled to one vector: enough for every strategy, without the model.

    ids:         one an item, in the order of the values
    values:      by pooling's name; layer 0 is the embeddings
    state_map:   what made each layer
    fingerprint: of the model
    baseline:    the published embedding; with it what a strategy's `+head` applies
    layers:      those of the model's hidden states that are here, in the order of the values; None is all of them
    """

    ids: list[str]
    values: dict[str, States]
    state_map: StateMap
    fingerprint: str
    baseline: Baseline = MEAN
    layers: tuple[int, ...] | None = None

    def embed(self, strategy: AnyStrategy, whitening: Whitenings | None = None) -> Embeddings:
        """The embedding that the strategy makes of each item. whitening: for one that whitens."""
        if isinstance(strategy, Joined):
            return self._joined(strategy, whitening or Whitenings({}))
        self._check_makes(strategy)
        resolved = strategy.resolve(len(self.state_map))
        parts = [self.values[pool][self._places(resolved)] for pool in resolved.pools]  # each [chosen, item, d_model]
        states = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
        fitted = (whitening or Whitenings({})).only(resolved.whitened)
        vectors = _combined(states, resolved, fitted, self.baseline.head)
        embeddings = Embeddings(self.ids, vectors, resolved, self._made(fitted))
        return _scaled(embeddings) if resolved.normalize else embeddings

    def has_pooled(self, strategy: AnyStrategy) -> bool:
        """Whether every pooling of the strategy is here."""
        return self.values.keys() >= set(strategy.pools)

    def _check_makes(self, strategy: Strategy) -> None:
        if not self.has_pooled(strategy):
            raise LabError(
                f"strategy {strategy}: only {', '.join(self.values)} were pooled. Add it to the encoder's poolings "
                "in states.encoders."
            )
        if strategy.head and not self.baseline.head.steps:
            raise LabError(f"strategy {strategy}: this model has no modules after pooling. Leave +head out.")

    def _places(self, resolved: AnyStrategy) -> list[int]:
        """Where the strategy's layers are among the values."""
        return list(resolved.layers) if self.layers is None else [self.layers.index(layer) for layer in resolved.layers]

    def _joined(self, strategy: Joined, whitening: Whitenings) -> Embeddings:
        resolved = strategy.resolve(len(self.state_map))
        parts = [
            self.embed(part, whitening).vectors * np.float32(np.sqrt(weight))
            for part, weight in terms(resolved).items()
        ]
        return Embeddings(self.ids, np.hstack(parts), resolved, self._made(whitening.only(resolved.whitened)))

    def _made(self, whitening: Whitenings) -> str:
        """What made an embedding: the model, and a whitening if there is one."""
        return f"{self.fingerprint}+{whitening.fingerprint}" if whitening.parts else self.fingerprint

    def select(self, ids: Iterable[str]) -> "PooledStates":
        """The same states for these items only, in this order."""
        wanted = list(ids)
        row = {name: i for i, name in enumerate(self.ids)}
        unknown = [name for name in wanted if name not in row]
        if unknown:
            raise LabError(f"no states of item {unknown[0]!r}. Run the stage `states` again.")
        return self.take([row[name] for name in wanted])

    def take(self, rows: Sequence[int]) -> "PooledStates":
        """The same states for the items of these rows only, in this order."""
        values = {pool: states[:, rows] for pool, states in self.values.items()}
        return replace(self, ids=[self.ids[row] for row in rows], values=values)

    def needed(self, strategy: AnyStrategy) -> "PooledStates":
        """The layers and poolings that the strategy is made of, and no others."""
        resolved = strategy.resolve(len(self.state_map))
        places = self._places(resolved)
        values = {pool: self.values[pool][places] for pool in resolved.pools if pool in self.values}
        return replace(self, values=values, layers=tuple(resolved.layers))

    def save(self, path: Path) -> None:
        """A safetensors file: one tensor per pooling, those of the baseline's head, the rest in its header."""
        about = {
            "ids": self.ids,
            "poolings": list(self.values),
            "state_map": [asdict(state) for state in self.state_map],
            "fingerprint": self.fingerprint,
            "baseline": self.baseline.about(),
        }
        write_tensors(self.values | self.baseline.tensors(), path, json.dumps(about))

    @classmethod
    def load(cls, path: Path) -> "PooledStates":
        """What `save` wrote. The states are read from the file when they are looked at."""
        try:
            with safe_open(path, framework="numpy") as file:
                about = read_as(_About, (file.metadata() or {}).get("about", ""))
                values = _of_poolings(about.poolings, mapped_tensors(path))
                head = {name: file.get_tensor(name) for name in file.keys() if name.startswith(PREFIX)}  # noqa: SIM118
            _check_fit(about, values)
            baseline = Baseline.of(about.baseline, head)
        except (OSError, SafetensorError, ValueError) as error:
            raise LabError(
                f"{path}: no pooled states can be read from it ({error}). Run the stage `states` again."
            ) from error
        return cls(about.ids, values, tuple(about.state_map), about.fingerprint, baseline)


def _of_poolings(names: Sequence[str], tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    missing = next((name for name in names if name not in tensors), None)
    if missing is not None:
        raise ValueError(f"it does not contain tensor {missing}")
    return {name: tensors[name] for name in names}


def _check_fit(about: _About, values: dict[str, np.ndarray]) -> None:
    if len(set(about.ids)) < len(about.ids):
        raise ValueError("duplicate id")
    wanted = (len(about.state_map), len(about.ids))
    for pooling, states in values.items():
        if states.ndim != 3 or states.shape[:2] != wanted or states.dtype != np.float32:
            raise ValueError(f"{pooling}: {states.dtype} of {states.shape}, for (layers, items) of {wanted}")


def layer_normed(states: States) -> States:
    """Each vector with mean 0 and variance 1 over its dimensions (Ba et al. 2016, no gain, no bias)."""
    centred = states - states.mean(-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + NORM_EPSILON)


def _combined(
    states: States, strategy: Strategy, whitening: Whitenings, head: Head
) -> Float32[np.ndarray, "item width"]:
    if strategy.layer_norm:
        states = layer_normed(states)
    if strategy.each is not None:
        alone = zip(strategy.states(), states, strict=True)
        states = np.stack([whitening.of(state).apply(vectors) for state, vectors in alone])
    if strategy.weights:
        states = states * np.array(strategy.weights, dtype=np.float32)[:, None, None]
    if strategy.combine == "concat":
        vectors = np.concatenate(list(states), axis=1)
    else:
        vectors = states.mean(0) if strategy.combine == "mean" else states.sum(0)
    if strategy.head:
        vectors = head.apply(vectors)
    if strategy.whiten is not None:
        vectors = whitening.of(strategy.full).apply(vectors)
    return _reduced(vectors, strategy, whitening)


def _reduced(
    vectors: Float32[np.ndarray, "item width"], strategy: Strategy, whitening: Whitenings
) -> Float32[np.ndarray, "item kept"]:
    if strategy.reduced is None:
        return vectors
    if strategy.reduced.fitted:
        return whitening.of(strategy.scaled).apply(vectors)
    if strategy.reduced.dimensions > vectors.shape[1]:
        raise LabError(f"strategy {strategy}: its vectors have {vectors.shape[1]} dimensions. Keep no more.")
    return np.ascontiguousarray(vectors[:, : strategy.reduced.dimensions])


def _scaled(embeddings: Embeddings) -> Embeddings:
    lengths = np.linalg.norm(embeddings.vectors, axis=1, keepdims=True)
    if not lengths.all():
        item = embeddings.ids[int(np.argmin(lengths))]
        raise LabError(
            f"strategy {embeddings.strategy}: item {item!r} has a vector of length 0; it has no direction. Add +raw."
        )
    return replace(embeddings, vectors=embeddings.vectors / lengths)

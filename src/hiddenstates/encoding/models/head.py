"""`Head`: what a model's own modules do to a pooled vector. Linear layers, layer norms, scaling to length 1."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from scipy.special import erf, expit

from hiddenstates.core.errors import LabError

Vectors = Float32[np.ndarray, "item width"]
Tensors = Mapping[str, np.ndarray]
SHORTEST = 1e-12
"""A shorter vector is divided by this, as in torch's `normalize`."""

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Identity": lambda x: x,
    "Tanh": np.tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "LeakyReLU": lambda x: np.where(x > 0, x, 0.01 * x),
    "GELU": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "SiLU": lambda x: x * expit(x),
    "Sigmoid": expit,
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "Softplus": lambda x: np.logaddexp(x, 0),
    "Mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
}
"""By the name of torch's module, as it is made without arguments."""


@runtime_checkable
class Step(Protocol):
    """One module of a head."""

    def apply(self, vectors: Vectors) -> np.ndarray: ...

    def settings(self) -> dict[str, Any]:
        """What JSON says of it; `kind` names the class."""
        ...

    def tensors(self) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True, eq=False)
class Linear:
    """activation(x @ weight.T + bias), plus x @ residual.T where there is one."""

    weight: Float32[np.ndarray, "d_out d_in"]
    bias: Float32[np.ndarray, " d_out"] | None = None
    activation: str = "Identity"
    residual: Float32[np.ndarray, "d_out d_in"] | None = None

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise LabError(f"head: activation {self.activation!r} is not among {', '.join(ACTIVATIONS)}. Add it there.")

    def apply(self, vectors: Vectors) -> np.ndarray:
        out = vectors @ self.weight.T
        out = ACTIVATIONS[self.activation](out if self.bias is None else out + self.bias)
        return out if self.residual is None else out + vectors @ self.residual.T

    def settings(self) -> dict[str, Any]:
        return {"kind": "linear", "activation": self.activation}

    def tensors(self) -> dict[str, np.ndarray]:
        found = {"weight": self.weight, "bias": self.bias, "residual": self.residual}
        return {name: tensor for name, tensor in found.items() if tensor is not None}


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """Each vector with mean 0 and variance 1, times weight, plus bias (Ba et al. 2016)."""

    weight: Float32[np.ndarray, " width"]
    bias: Float32[np.ndarray, " width"]
    epsilon: float = 1e-5

    def apply(self, vectors: Vectors) -> np.ndarray:
        centred = vectors - vectors.mean(1, keepdims=True)
        variance = np.square(centred).mean(1, keepdims=True)
        scaled: np.ndarray = centred / np.sqrt(variance + np.float32(self.epsilon)) * self.weight + self.bias
        return scaled

    def settings(self) -> dict[str, Any]:
        return {"kind": "layer_norm", "epsilon": self.epsilon}

    def tensors(self) -> dict[str, np.ndarray]:
        return {"weight": self.weight, "bias": self.bias}


@dataclass(frozen=True)
class Normalize:
    """Each vector scaled to length 1."""

    def apply(self, vectors: Vectors) -> np.ndarray:
        scaled: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), SHORTEST)
        return scaled

    def settings(self) -> dict[str, Any]:
        return {"kind": "normalize"}

    def tensors(self) -> dict[str, np.ndarray]:
        return {}


KINDS: dict[str, Callable[..., Step]] = {"linear": Linear, "layer_norm": LayerNorm, "normalize": Normalize}


@dataclass(frozen=True)
class Head:
    """Modules that a pooled vector goes through, one after the other."""

    steps: tuple[Step, ...] = ()

    def apply(self, vectors: Vectors) -> Float32[np.ndarray, "item d_out"]:
        """The vectors after all steps. LabError where the first matrix was made for another width."""
        for step in self.steps:
            wanted = next((t.shape[-1] for t in step.tensors().values()), vectors.shape[1])
            if wanted != vectors.shape[1]:
                raise LabError(
                    f"head: its {step.settings()['kind']} takes {wanted} dimensions, the vectors have "
                    f"{vectors.shape[1]}. Leave +head out, or combine as the published embedding does."
                )
            vectors = step.apply(vectors).astype(np.float32, copy=False)
        return vectors

    def dimensions(self, width: int) -> int:
        """Of what comes out, for vectors of this width."""
        return next((len(step.weight) for step in reversed(self.steps) if isinstance(step, Linear)), width)

    def settings(self) -> list[dict[str, Any]]:
        """What JSON says of the steps; with `tensors` all that `of` needs."""
        return [step.settings() for step in self.steps]

    def tensors(self) -> dict[str, np.ndarray]:
        """Every step's tensors, under names that begin with its place."""
        return {f"{i}.{name}": t for i, step in enumerate(self.steps) for name, t in step.tensors().items()}

    @classmethod
    def of(cls, settings: Sequence[Mapping[str, Any]], tensors: Tensors) -> "Head":
        """What `settings` and `tensors` say. ValueError where they do not fit."""
        return cls(tuple(_step(i, about, tensors) for i, about in enumerate(settings)))


def _step(place: int, about: Mapping[str, Any], tensors: Tensors) -> Step:
    own = {name.removeprefix(f"{place}."): t for name, t in tensors.items() if name.startswith(f"{place}.")}
    try:
        return KINDS[about["kind"]](**own, **{key: value for key, value in about.items() if key != "kind"})
    except (KeyError, TypeError, LabError) as error:
        raise ValueError(f"step {place} of its head: {error}") from error

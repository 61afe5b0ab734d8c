"""`Whitening`: no direction of a space wider than another. Fitted on training passages only."""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from safetensors import SafetensorError
from safetensors.numpy import load_file

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import write_tensors
from hiddenstates.core.strategy import Reduction, Strategy

Vectors = Float32[np.ndarray, "item width"]
NOTHING = 1e-10  # of the largest variance: a direction with less holds rounding errors
CONSTANT = 1e-12  # of the mean square: vectors that vary less differ by float32's rounding alone


@dataclass(frozen=True, eq=False)
class Whitening:
    """x becomes (x - mean) @ matrix (Su et al. 2021). Made by `fit`; by `fit_leading` with fewer columns than rows."""

    mean: Float32[np.ndarray, " width"]
    matrix: Float32[np.ndarray, "width kept"]

    def apply(self, vectors: Vectors) -> Float32[np.ndarray, "item kept"]:
        if vectors.shape[1] != len(self.mean):
            raise LabError(
                f"whitening: fitted on {len(self.mean)} dimensions, the vectors have {vectors.shape[1]}. Fit it again."
            )
        # in float64, so that a vector comes out the same alone as among others
        wide = vectors.astype(np.float64) - self.mean
        return (wide @ self.matrix.astype(np.float64)).astype(np.float32)

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that change when any number does."""
        return hashlib.sha256(self.mean.tobytes() + self.matrix.tobytes()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Whitenings:
    """All that the whitening steps of a strategy were fitted to. `embeddings.fitting.fitted` makes them.

    parts: by what was whitened, as a strategy: a state alone (`5/max+ln+each.5`), or the combined ones
           (`concat(0,6)/mean+white.9`), or the leading dimensions of these (`concat(0,6)/mean+pca128`)
    """

    parts: Mapping[str, Whitening]

    def of(self, step: Strategy) -> Whitening:
        """The one of this step, which is one of a strategy's `whitened`."""
        if str(step) not in self.parts:
            raise LabError(
                f"strategy {step}: it whitens, and no whitening is given. Embed by the choice that holds it."
            )
        return self.parts[str(step)]

    def only(self, steps: Iterable[Strategy]) -> "Whitenings":
        """Those of these steps. LabError where one is missing."""
        return Whitenings({str(step): self.of(step) for step in steps})

    def __or__(self, other: "Whitenings") -> "Whitenings":
        return Whitenings({**self.parts, **other.parts})

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change when any number or name does."""
        told = "".join(f"{name} {part.fingerprint}\n" for name, part in sorted(self.parts.items()))
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def save(self, path: Path) -> None:
        """A safetensors file."""
        tensors = {f"{name} {kind}": getattr(w, kind) for name, w in self.parts.items() for kind in ("mean", "matrix")}
        write_tensors(tensors, path)

    @classmethod
    def load(cls, path: Path) -> "Whitenings":
        """What `save` wrote."""
        try:
            tensors = load_file(path)
            names = dict.fromkeys(key.rpartition(" ")[0] for key in tensors)
            return cls({name: _whitening(name, tensors[f"{name} mean"], tensors[f"{name} matrix"]) for name in names})
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise LabError(
                f"{path}: no whitening can be read from it ({error}). Run the stage `strategies` again."
            ) from error


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What a whitening of any shrinkage needs to know of some vectors.

    average: of the variances over all dimensions; variances, directions: those that are not nothing
    """

    mean: Float64[np.ndarray, " width"]
    average: float
    variances: Float64[np.ndarray, " rank"]
    directions: Float64[np.ndarray, "rank width"]

    @classmethod
    def of(cls, vectors: Vectors) -> "Spectrum":
        if not varies(vectors):
            raise LabError(
                f"whitening: {len(vectors)} vector(s) that do not differ say nothing. Fit it on more passages."
            )
        wide = np.ascontiguousarray(vectors, dtype=np.float64)  # however a selection left them in memory
        mean = wide.mean(0)
        variances, directions = _spectrum(wide - mean)
        return cls(mean, float(variances.sum() / len(mean)), variances, directions)

    def whitening(self, shrinkage: float) -> Whitening:
        """As by `fit`."""
        width, rank = len(self.mean), len(self.variances)
        if shrinkage == 0 and rank < width:
            raise LabError(f"whitening: the vectors fill {rank} of {width} dimensions. Take a shrinkage above 0.")
        inside = 1 / np.sqrt((1 - shrinkage) * self.variances + shrinkage * self.average)
        outside = 1 / np.sqrt(shrinkage * self.average) if shrinkage else 0.0  # where no vector differs
        matrix = (self.directions.T * (inside - outside)) @ self.directions + outside * np.eye(width)
        return Whitening(self.mean.astype(np.float32), matrix.astype(np.float32))

    def leading(self, reduction: Reduction) -> Whitening:
        """As by `fit_leading`."""
        kept, rank = reduction.dimensions, len(self.variances)
        if kept > rank:
            raise LabError(
                f"strategy: {reduction} keeps {kept} dimensions, and the vectors that it is fitted on fill {rank} of "
                f"{len(self.mean)}. Keep {rank} at most."
            )
        directions = self.directions[::-1][:kept]  # the variances ascend
        largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1)
        widths = np.sqrt(self.variances[::-1][:kept]) if reduction.way == "white" else np.ones(kept)
        matrix = (directions * np.sign(largest)).T / widths  # a direction's sign is free: the largest entry's is plus
        return Whitening(self.mean.astype(np.float32), matrix.astype(np.float32))


def fit_leading(vectors: Vectors, reduction: Reduction) -> Whitening:
    """The principal components of these vectors, their mean taken away; for `white` each with variance 1."""
    return Spectrum.of(vectors).leading(reduction)


def fit(vectors: Vectors, shrinkage: float = 0.0) -> Whitening:
    """The whitening of these vectors: their mean, and the inverse square root of their covariance.

    Of all the matrices that whiten it is the symmetric one, which is unique (Kessy et al. 2018); cosines are the same.

    shrinkage: how far the covariance is drawn to that of a ball of the same total variance (Ledoit & Wolf 2004);
               0 whitens fully, 1 only takes the mean away
    """
    return Spectrum.of(vectors).whitening(shrinkage)


def varies(vectors: Vectors) -> bool:
    """Do these vectors differ by more than rounding?"""
    spread = vectors.var(0, dtype=np.float64).sum() if len(vectors) else 0.0
    return bool(spread > CONSTANT * np.square(vectors, dtype=np.float64).sum() / max(len(vectors), 1))


def training_passages(task: Task) -> list[str]:
    """Ids of the passages that no dev or test query is about: what a whitening may be fitted on.

    Those whose entity train queries ask about, and dev and test queries do not; where a passage has no entity, those
    judged for a train query. Without train queries, all whose entity nobody asks about. None of them is judged for a
    dev or test query; there may be none.
    """
    (entities, judged), *held = (_touched(task.select(split=split)) for split in ("train", "dev", "test"))
    entities, foreign = entities.difference(*(e for e, _ in held)), set().union(*(j for _, j in held))
    rows = list(zip(task.kb.ids, task.kb.passages["entity"][:], strict=True))
    if "train" not in task.queries["split"][:]:
        asked = set().union(*(e for e, _ in held)) - {""}
        return [i for i, entity in rows if entity not in asked and i not in foreign]
    return [i for i, entity in rows if (entity in entities if entity else i in judged) and i not in foreign]


def _whitening(name: str, mean: np.ndarray, matrix: np.ndarray) -> Whitening:
    """name: of what was fitted; one that keeps fewer dimensions has so many columns, any other is square"""
    if mean.ndim != 1 or matrix.shape != (len(mean), _kept(name) or len(mean)):
        raise ValueError(f"a mean of {mean.shape} and a matrix of {matrix.shape}")
    return Whitening(mean.astype(np.float32), matrix.astype(np.float32))


def _touched(part: Task) -> tuple[set[str], set[str]]:
    """The entities that the queries ask about, and the passages judged for them."""
    judged = {passage for row in part.qrels.rows.values() for passage in row}
    return set(part.queries["entity"][:]), judged


def _spectrum(
    centred: Float64[np.ndarray, "item width"],
) -> tuple[Float64[np.ndarray, " rank"], Float64[np.ndarray, "rank width"]]:
    """The variances that are not nothing, and their directions, from the smaller of the two Gram matrices."""
    n, width = centred.shape
    few = n < width
    variances, vectors = np.linalg.eigh((centred @ centred.T if few else centred.T @ centred) / n)
    kept = variances > NOTHING * variances[-1]
    variances, vectors = variances[kept], vectors[:, kept]
    return variances, (centred.T @ vectors / np.sqrt(n * variances)).T if few else vectors.T


def _kept(name: str) -> int | None:
    """How many dimensions a strategy of this name keeps; None for all."""
    with suppress(LabError):
        reduction = Strategy.parse(name).reduced
        return reduction.dimensions if reduction else None
    return None

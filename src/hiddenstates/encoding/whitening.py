"""`Whitening`: no direction of a space wider than another. Fitted on training passages only."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from safetensors import SafetensorError
from safetensors.numpy import load_file

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import write_tensors

Vectors = Float32[np.ndarray, "item width"]
NOTHING = 1e-10  # of the largest variance: a direction with less holds rounding errors


@dataclass(frozen=True, eq=False)
class Whitening:
    """x becomes (x - mean) @ matrix (Su et al. 2021). Made by `fit`."""

    mean: Float32[np.ndarray, " width"]
    matrix: Float32[np.ndarray, "width width"]

    def apply(self, vectors: Vectors) -> Vectors:
        if vectors.shape[1] != len(self.mean):
            raise LabError(
                f"whitening: fitted on {len(self.mean)} dimensions, the vectors have {vectors.shape[1]}. Fit it again."
            )
        whitened: Vectors = (vectors - self.mean) @ self.matrix
        return whitened

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change when any number does."""
        return hashlib.sha256(self.mean.tobytes() + self.matrix.tobytes()).hexdigest()[:12]

    def save(self, path: Path) -> None:
        """A safetensors file."""
        write_tensors({"mean": self.mean, "matrix": self.matrix}, path)

    @classmethod
    def load(cls, path: Path) -> "Whitening":
        """What `save` wrote."""
        try:
            tensors = load_file(path)
            mean, matrix = tensors["mean"], tensors["matrix"]
            if mean.ndim != 1 or matrix.shape != 2 * mean.shape:
                raise ValueError(f"a mean of {mean.shape} and a matrix of {matrix.shape}")
            return cls(mean.astype(np.float32), matrix.astype(np.float32))
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise LabError(
                f"{path}: no whitening can be read from it ({error}). Run the stage `strategies` again."
            ) from error


def fit(vectors: Vectors, shrinkage: float = 0.0) -> Whitening:
    """The whitening of these vectors: their mean, and the inverse square root of their covariance.

    Of all the matrices that whiten it is the symmetric one, which is unique (Kessy et al. 2018); cosines are the same.

    shrinkage: how far the covariance is drawn to that of a ball of the same total variance (Ledoit & Wolf 2004);
               0 whitens fully, 1 only takes the mean away
    """
    mean = vectors.mean(0, dtype=np.float64)
    variances, directions = _spectrum(vectors - mean)
    width = len(mean)
    average = variances.sum() / width
    if not average > 0:
        raise LabError(f"whitening: {len(vectors)} vector(s) that do not differ say nothing. Fit it on more passages.")
    if shrinkage == 0 and len(variances) < width:
        raise LabError(
            f"whitening: {len(vectors)} vectors fill {len(variances)} of {width} dimensions. "
            "Set strategies.shrinkage above 0."
        )
    inside = 1 / np.sqrt((1 - shrinkage) * variances + shrinkage * average)
    outside = 1 / np.sqrt(shrinkage * average) if shrinkage else 0.0  # the directions in which no vector differs
    matrix = (directions.T * (inside - outside)) @ directions + outside * np.eye(width)
    return Whitening(mean.astype(np.float32), matrix.astype(np.float32))


def training_passages(task: Task) -> list[str]:
    """Ids of the passages that no dev or test query is about: what a whitening may be fitted on.

    Those whose entity train queries ask about, and dev and test queries do not; where a passage has no entity, those
    judged for a train query. None of them is judged for a dev or test query.
    """
    (entities, judged), *held = (_touched(task.select(split=split)) for split in ("train", "dev", "test"))
    entities, foreign = entities.difference(*(e for e, _ in held)), set().union(*(j for _, j in held))
    rows = zip(task.kb.ids, task.kb.passages["entity"][:], strict=True)
    return [i for i, entity in rows if (entity in entities if entity else i in judged) and i not in foreign]


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

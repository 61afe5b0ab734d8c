"""What an index is before it has vectors: its kind, its cells and codes trained on a sample, how it is searched."""

import re
from time import perf_counter
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32, Int64

from hiddenstates.core.errors import LabError

TRAINED_ON = 100_000
"""At most so many vectors train the cells and the codes of an index."""


class TooFewError(LabError):
    """So few vectors train no cells and no codes of this kind."""


REFINED = re.compile(r"(.+),(?:RFlat|Refine\((.+)\))")
"""As faiss reads a factory string: an index whose best are compared once more, by whole vectors or by longer codes."""

METRICS = {
    "cosine": faiss.METRIC_INNER_PRODUCT,
    "inner product": faiss.METRIC_INNER_PRODUCT,
    "euclidean": faiss.METRIC_L2,
}


class Trainings:
    """What was trained on one sample, kept for kinds of index that begin alike or are only searched otherwise.

    spared: the seconds that it would have taken to train again what was kept
    """

    def __init__(self, sample: Float32[np.ndarray, "chosen width"], metric: int) -> None:
        self.sample, self._metric = sample, metric
        self._kept: dict[str, tuple[np.ndarray, float]] = {}
        self.spared = 0.0

    def empty(self, structure: str) -> Any:
        """An index of faiss without vectors, its cells and codes trained. structure: a factory string of faiss"""
        if structure in self._kept:
            written, seconds = self._kept[structure]
            self.spared += seconds
            return faiss.deserialize_index(written)
        start, before = perf_counter(), self.spared
        index = self._refined(structure) or self._trained(structure)
        seconds = perf_counter() - start + self.spared - before
        self._kept[structure] = faiss.serialize_index(index), seconds
        return index

    def _refined(self, structure: str) -> Any:
        """One that compares the best of another index once more; None where it is no such one."""
        refined = REFINED.fullmatch(structure)
        if not refined:
            return None
        base, codes = self.empty(refined[1]), refined[2]
        return faiss.IndexRefine(base, self._trained(codes)) if codes else faiss.IndexRefineFlat(base)

    def _trained(self, structure: str) -> Any:
        index = faiss.index_factory(self.sample.shape[1], structure, self._metric)
        _train_on_few(index)
        index.train(self.sample)
        return index


def filled(factory: str, n: int, width: int) -> str:
    """The factory string for n vectors of this width."""
    try:
        return factory.format(cells=max(1, round(n**0.5)), pairs=width // 2)
    except (AttributeError, IndexError, KeyError, ValueError) as error:
        raise LabError(
            f"index.factories: {factory!r}: braces that are not understood. {{cells}} and {{pairs}} may stand in it."
        ) from error


def trained(trainings: Trainings, factory: str) -> Any:
    """An empty index of faiss, its cells and codes trained, its searches set. factory: placeholders filled in."""
    structure, _, settings = factory.partition(" ")
    try:
        index = trainings.empty(structure)
        for setting in filter(None, settings.split(",")):
            name, _, value = setting.partition("=")
            faiss.ParameterSpace().set_index_parameter(index, name, float(value))
    except (RuntimeError, ValueError) as error:
        # what stands before the last colon of an error of faiss is the place in its sources
        reason = str(error).rpartition(": ")[2] if isinstance(error, RuntimeError) else error
        n, width = trainings.sample.shape
        kind = TooFewError if "Number of training points" in str(error) else LabError
        raise kind(
            f"index.factories: faiss cannot make {factory!r} of {n} vectors of {width} dimensions ({reason}). "
            "Write Flat, HNSW32 efSearch=64, IVF{cells},Flat nprobe=8 or PQ{pairs}x4fs,RFlat, say."
        ) from error
    return index


def _train_on_few(index: Any) -> None:
    """No line on stderr for each clustering of few vectors: what an index finds is measured, however it was trained."""
    index = faiss.downcast_index(index)
    clustered: tuple[Any, ...] = (index, getattr(index, "pq", None))
    for owner in clustered:
        if hasattr(owner, "cp"):
            owner.cp.min_points_per_centroid = 1
    for name in ("index", "base_index", "quantizer"):  # of a transform, a refinement, cells
        if getattr(index, name, None) is not None:
            _train_on_few(getattr(index, name))


def drawn(n: int, seed: int) -> Int64[np.ndarray, "chosen"]:
    """The rows that train an index of n: drawn from all, for the first ones would be those of a few topics."""
    if n <= TRAINED_ON:
        return np.arange(n)
    return np.random.default_rng(seed).choice(n, TRAINED_ON, replace=False)


def sampled(vectors: Float32[np.ndarray, "item width"], seed: int) -> Float32[np.ndarray, "chosen width"]:
    return vectors if len(vectors) <= TRAINED_ON else vectors[drawn(len(vectors), seed)]

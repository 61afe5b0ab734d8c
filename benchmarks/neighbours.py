"""How far two ways to embed agree. It needs numpy alone, so that benchmarks of other environments can use it, too."""

from collections.abc import Mapping
from statistics import median

import numpy as np
from rounds import Seconds

NEAREST = 10
Vectors = np.ndarray


def agreement(a: Vectors, b: Vectors) -> float:
    """The share of each item's 10 nearest that both have."""
    pairs = zip(_nearest(a), _nearest(b), strict=True)
    return float(np.mean([len(set(x) & set(y)) / len(x) for x, y in pairs]))


def print_against(first: str, seconds: Seconds, vectors: Mapping[str, Vectors]) -> None:
    """A line per side: seconds, times as fast as the first one, neighbours@10 that both have."""
    for name, times in seconds.items():
        ratio = median(x / y for x, y in zip(seconds[first], times, strict=True))
        print(f"  {name:34} {median(times):7.3f} {ratio:5.2f} {agreement(vectors[first], vectors[name]):.3f}")


def _nearest(vectors: Vectors) -> Vectors:
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -1)
    return np.argsort(-similarities, axis=1, kind="stable")[:, :NEAREST]

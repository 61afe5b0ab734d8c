"""Is the difference real? Intervals by bootstrap, p values by randomization, both over clusters of queries.

Queries about one entity, or made by one template, are not independent: they are drawn, or flipped, together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int
from scipy.stats import rankdata

Pairs = Float64[np.ndarray, " pair"]
RESAMPLES = 2_000
FLIPS = 10_000
AT_ONCE = 1 << 22  # sums under random signs that a test holds, to bound memory
LEVEL = 0.95
ALPHA = 0.05


@dataclass(frozen=True)
class Comparison:
    """A paired difference of means, first minus second.

    n: queries; clusters: independent groups of them; low, high: a 95% interval; p: two-sided, 1 when nothing differs
    """

    n: int
    clusters: int
    difference: float
    low: float
    high: float
    p: float


def interval(values: pd.Series, clusters: Mapping[str, Sequence[str]], seed: int) -> tuple[float, float]:
    """A 95% interval of the mean of `values` by the multiway cluster bootstrap.

    values:   one number a query
    clusters: by the name of a way of grouping, the group of each query, in the order of `values`
    """
    weights = resamples(clusters, seed)
    means = weights @ values.to_numpy(float) / weights.sum(1)
    return central(means)


def central(draws: Float64[np.ndarray, " draw"]) -> tuple[float, float]:
    """Between which 95% of the draws lie, as many of the others below as above."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def compare(first: pd.Series, second: pd.Series, clusters: Mapping[str, Sequence[str]], seed: int) -> Comparison:
    """The paired difference of two systems on the same queries; the first way of grouping is flipped in the test."""
    difference = first - second
    low, high = interval(difference, clusters, seed)
    groups = next(iter(clusters.values()))
    p = randomization(difference.to_numpy(float)[None], groups, seed)[0]
    return Comparison(len(difference), len(set(groups)), float(difference.mean()), low, high, float(p))


def compare_correlations(first: Pairs, second: Pairs, grades: Pairs, seed: int) -> Comparison:
    """The difference of Spearman's correlations of two systems with the same grades, resampled pair by pair.

    Pairs are drawn for the interval; for the test, the two systems' ranks of a pair change places at random.
    """
    ours, theirs, truth = (rankdata(values) for values in (first, second, grades))
    difference = _correlation_gap(ours, theirs, truth)
    random = np.random.default_rng(seed)
    draws = random.integers(len(truth), size=(RESAMPLES, len(truth)))
    low, high = central(np.array([_correlation_gap(ours[d], theirs[d], truth[d]) for d in draws]))
    swaps = random.random((RESAMPLES, len(truth))) < 0.5
    swapped = [_correlation_gap(np.where(s, theirs, ours), np.where(s, ours, theirs), truth) for s in swaps]
    p = (np.sum(np.abs(swapped) >= abs(difference) - 1e-12) + 1) / (RESAMPLES + 1)
    return Comparison(len(truth), len(truth), difference, low, high, float(p))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number, so that none is false with probability over alpha (Holm 1979)."""
    order = np.argsort(p_values)
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in corrected]


def resamples(clusters: Mapping[str, Sequence[str]], seed: int) -> Float64[np.ndarray, "draw item"]:
    """How often each item is drawn by the pigeonhole bootstrap, a row a draw.

    Groups are drawn in every way of grouping, and an item weighs the product (Owen 2007).
    """
    random = np.random.default_rng(seed)
    ways = [_codes(groups) for groups in clusters.values()]
    weights = np.ones((RESAMPLES, len(ways[0])))
    for codes in ways:
        size = codes.max() + 1
        weights *= random.multinomial(size, np.full(size, 1 / size), size=RESAMPLES)[:, codes]
    return weights[weights.any(1)]  # with few groups in two ways a draw can miss every item


def _correlation_gap(first: Pairs, second: Pairs, truth: Pairs) -> float:
    return _spearman(first, truth) - _spearman(second, truth)


def _spearman(values: Pairs, truth: Pairs) -> float:
    """0 where all values are equal, as in `measures.correlate`."""
    ranks, grades = (x - x.mean() for x in (rankdata(values), rankdata(truth)))
    scale = np.sqrt((ranks @ ranks) * (grades @ grades))
    return float(ranks @ grades / scale) if scale else 0.0


def _codes(groups: Sequence[str]) -> Int[np.ndarray, " query"]:
    return np.unique(np.asarray(groups), return_inverse=True)[1]


def randomization(
    differences: Float[np.ndarray, "candidate query"], groups: Sequence[str], seed: int, flips: int = FLIPS
) -> Float64[np.ndarray, " candidate"]:
    """Two-sided p of each row: how often do random signs, one a group, give a sum as far from 0?

    (Fisher's randomization test for paired scores, Smucker et al. 2007.)
    """
    codes = _codes(groups)
    sums = np.array([np.bincount(codes, weights=row) for row in differences])
    least, reached = np.abs(sums.sum(1)) - 1e-12, np.zeros(len(sums))
    random, size = np.random.default_rng(seed), max(AT_ONCE // len(sums), 1)
    for done in range(0, flips, size):
        signs = random.choice([-1.0, 1.0], size=(min(size, flips - done), sums.shape[1]))
        reached += (np.abs(signs @ sums.T) >= least).sum(0)
    return (reached + 1) / (flips + 1)

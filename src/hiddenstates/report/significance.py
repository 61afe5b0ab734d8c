"""Is the difference real? Interval and test are one procedure, so that they can never contradict each other.

Random signs, one per group of queries (Fisher's randomization for paired scores, Smucker et al. 2007): a difference d
is refuted at a level if, d taken away, too few draws lie as far from 0 as what was observed. The interval holds all
differences that are not refuted. Queries about one entity are not independent: they get one sign together. Where
queries also share templates, every draw is widened by how much the error grows when both are seen (Cameron, Gelbach &
Miller 2011).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int
from scipy.stats import rankdata

from hiddenstates.retrieval.measures import shares

Pairs = Float64[np.ndarray, " pair"]
Weights = Float64[np.ndarray, " item"]
Groups = Mapping[str, Sequence[str]]
Codes = Int[np.ndarray, " item"]
RESAMPLES = 2_000
FLIPS = 10_000
TOGETHER = 1_000  # draws of signs that judge many strategies at once
SUMS_AT_ONCE = 1 << 22  # sums under random signs that a test holds, to bound memory
LEVEL = 0.95
ALPHA = 0.05
MARGIN = 0.01
"""Of a measure: a smaller difference does not matter."""

LEAST = 6
"""Groups; fewer have no pattern of signs that is rarer than 5%, and nothing can be said."""

BETTER, WORSE, EQUIVALENT, UNDECIDED = VERDICTS = ("better", "worse", "equivalent", "undecided")


@dataclass(frozen=True, eq=False)
class Flips:
    """A difference and its draws: draw i reaches what was observed if a difference in [lows[i], highs[i]] is true.

    lows, highs: sorted; lows ascending, highs descending
    """

    difference: float
    lows: Float64[np.ndarray, " draw"]
    highs: Float64[np.ndarray, " draw"]

    def p(self, true: float = 0.0) -> float:
        """Two-sided p of the hypothesis that this is the true difference."""
        below = np.searchsorted(self.lows, true + 1e-12, side="right")
        above = np.searchsorted(-self.highs, -true + 1e-12, side="right")
        return float(min(below, above) / len(self.lows))

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """All differences whose `p` is at least alpha."""
        last = max(int(np.ceil(alpha * len(self.lows) - 1e-9)) - 1, 0)
        return float(self.lows[last]), float(self.highs[last])

    def verdict(self, alpha: float = ALPHA, margin: float = MARGIN) -> str:
        """One of `VERDICTS`. Equivalent: two one-sided tests say that the difference is below the margin, either way.

        What is equivalent is called so even where it is surely not 0: that difference does not matter.
        """
        inside = np.abs(self.interval(2 * alpha)).max() < margin
        if inside:
            return EQUIVALENT
        if self.p() >= alpha:
            return UNDECIDED
        return BETTER if self.difference > 0 else WORSE


@dataclass(frozen=True)
class Comparison:
    """A paired difference of means, first minus second.

    n: queries; clusters: independent groups of them; low, high: a 95% interval; p: two-sided, 1 when nothing differs;
    below .05 exactly where the interval leaves out 0. flips: what all of these were read from
    """

    n: int
    clusters: int
    difference: float
    low: float
    high: float
    p: float
    flips: Flips | None = field(default=None, repr=False, compare=False)


def interval(values: pd.Series, clusters: Groups, seed: int) -> tuple[float, float]:
    """A 95% interval of the mean of `values` by the multiway cluster bootstrap.

    values:   one number per query
    clusters: by the name of a way of grouping, the group of each query, in the order of `values`
    """
    weights = resamples(clusters, seed)
    means = weights @ values.to_numpy(float) / weights.sum(1)
    return central(means)


def central(draws: Float64[np.ndarray, " draw"]) -> tuple[float, float]:
    """Between which 95% of the draws lie, as many of the others below as above."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def compare(
    first: pd.Series, second: pd.Series, clusters: Groups, seed: int, weights: Weights | None = None, bound: float = 1.0
) -> Comparison:
    """The paired difference of two systems on the same queries.

    clusters: as in `interval`; the first way of grouping gets the signs
    weights:  of the queries; none: all the same
    bound:    the largest difference that there can be, which ends an interval that nothing else does
    """
    difference = (first - second).to_numpy(float)
    flips = flipped(difference, clusters, seed, weights, bound)
    groups = next(iter(clusters.values()))
    return Comparison(len(difference), len(set(groups)), flips.difference, *flips.interval(), flips.p(), flips)


def compare_correlations(first: Pairs, second: Pairs, grades: Pairs, seed: int) -> Comparison:
    """The difference of Spearman's correlations of two systems with the same grades, each pair for itself.

    A pair's share of a correlation is that of `shares`: to first order, what the correlation would lose without it.
    """
    ours, theirs = (pd.Series(shares(rankdata(s)[None], rankdata(grades))[0]) for s in (first, second))
    return compare(ours, theirs, {"pair": [str(i) for i in range(len(grades))]}, seed, bound=2.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number, so that none is false with probability over alpha (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in corrected]


def holm_levels(p_values: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The level that Holm's procedure holds each of these against: an interval at it agrees with the corrected p.

    The smallest meets alpha over their number, the next a milder one, until one is not below: the rest meet its level.
    """
    levels, level = np.empty(len(p_values)), alpha
    failed = False
    for place, i in enumerate(np.argsort(p_values, kind="stable")):
        level = level if failed else alpha / (len(p_values) - place)
        failed = failed or p_values[i] >= level
        levels[i] = level
    return [float(value) for value in levels]


def resamples(clusters: Groups, seed: int) -> Float64[np.ndarray, "draw item"]:
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


def flipped(
    differences: Weights, clusters: Groups, seed: int, weights: Weights | None = None, bound: float = 1.0
) -> Flips:
    """The draws of a weighted mean of differences; as in `compare`."""
    weights = np.ones(len(differences)) if weights is None else weights
    ways = [_codes(groups) for groups in clusters.values()]
    sums = np.array([np.bincount(ways[0], weights=row) for row in (weights * differences, weights)]).T
    total, size = sums.sum(0)
    mean = float(total / size)
    drawn, sizes = (_signs(len(sums), seed, FLIPS) @ sums).T
    wide = widening(differences - mean, ways, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.array([(total - drawn) / (size - sizes), (total + drawn) / (size + sizes)])
    ends[0, sizes >= size - 1e-9], ends[1, sizes <= 1e-9 - size] = (
        -np.inf,
        np.inf,
    )  # the signs all alike: any difference
    ends[1, sizes >= size - 1e-9], ends[0, sizes <= 1e-9 - size] = np.inf, -np.inf
    reach = np.clip(mean + wide * (np.sort(ends, axis=0) - mean), -bound, bound)
    return Flips(mean, np.sort(reach[0]), -np.sort(-reach[1]))


def widening(residuals: Weights, ways: Sequence[Codes], weights: Weights) -> float:
    """The standard error that sees every way of grouping, over that of the first alone; at least 1."""
    first = _variance(residuals, ways[0], weights)
    whole = sum(
        (-1) ** (size + 1) * _variance(residuals, _crossed(some), weights)
        for size in range(1, len(ways) + 1)
        for some in combinations(ways, size)
    )
    return float(np.sqrt(max(whole / first, 1.0))) if first > 0 else 1.0


def told_apart(
    values: Float[np.ndarray, "candidate query"],
    baseline: Float[np.ndarray, " query"],
    weights: Float64[np.ndarray, " query"],
    groups: Sequence[str],
    seed: int,
) -> Bool[np.ndarray, " candidate"]:
    """Which of many candidates surely differ from the baseline, so that one false among all comes with at most 5%.

    The same random signs for all: the largest of their standardised sums is what each one's must exceed (Westfall &
    Young 1993). It costs two products of matrices, however many candidates there are.
    """
    codes = _codes(groups)
    signs = _signs(int(codes.max()) + 1, seed, TOGETHER).astype(np.float32)
    indicator = np.eye(codes.max() + 1, dtype=np.float32)[codes]
    largest, seen = np.zeros(len(signs)), np.zeros(len(values))
    for first in range(0, len(values), 1 + SUMS_AT_ONCE // len(signs)):
        rows = slice(first, first + 1 + SUMS_AT_ONCE // len(signs))
        sums = ((values[rows] - baseline) * weights).astype(np.float32) @ indicator
        scale = np.sqrt(np.square(sums).sum(1))
        sums /= np.where(scale > 0, scale, 1.0)[:, None]
        seen[rows] = np.abs(sums.sum(1))
        np.maximum(largest, np.abs(signs @ sums.T).max(1), out=largest)
    limit = np.sort(largest)[int(np.ceil((1 - ALPHA) * len(largest))) - 1]
    found: Bool[np.ndarray, " candidate"] = seen > limit + 1e-5
    return found


def _signs(groups: int, seed: int, draws: int) -> Float64[np.ndarray, "draw group"]:
    """Every pattern of signs where there are few, else some at random and the one without a change."""
    if 2**groups <= draws:
        return np.array(list(product((1.0, -1.0), repeat=groups)))
    random = np.random.default_rng(seed).integers(2, size=(draws, groups), dtype=np.int8)
    return np.vstack([np.ones(groups), 1.0 - 2.0 * random])


def _variance(residuals: Weights, codes: Codes, weights: Weights) -> float:
    """Of the weighted mean, up to a factor that all ways share."""
    sums = np.bincount(codes, weights=weights * residuals)
    groups = len(np.unique(codes))
    return float(sums @ sums) * groups / max(groups - 1, 1)


def _crossed(ways: Sequence[Codes]) -> Codes:
    return np.unique(np.array(ways), axis=1, return_inverse=True)[1].ravel()


def _codes(groups: Sequence[str]) -> Codes:
    return np.unique(np.asarray(groups), return_inverse=True)[1]

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from hiddenstates.report.significance import central, compare, compare_correlations, holm, interval


def clustered(seed: int, clusters: int = 30, size: int = 10, effect: float = 0.0) -> tuple[pd.Series, list[str]]:
    """Values that move together within a cluster, around `effect`."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(clusters), size)
    values = effect + random.normal(size=clusters)[groups] + 0.1 * random.normal(size=clusters * size)
    return pd.Series(values), [f"g{g}" for g in groups]


def test_the_interval_of_clusters_covers_the_truth() -> None:
    covered = 0
    for seed in range(60):
        values, groups = clustered(seed, effect=0.5)
        low, high = interval(values, {"entity": groups}, seed)
        covered += low <= 0.5 <= high
    assert covered >= 51  # 95% of 60 is 57; 50 or fewer would come once in 10,000


def test_the_interval_of_clusters_is_wider_than_one_that_takes_them_for_independent() -> None:
    values, groups = clustered(0)
    low, high = interval(values, {"entity": groups}, seed=0)
    naive_low, naive_high = interval(values, {"query": [str(i) for i in range(len(values))]}, seed=0)
    assert high - low > 2 * (naive_high - naive_low)  # ten values a cluster, nearly equal: sqrt(10) = 3.2 times


def test_two_ways_of_grouping_are_wider_than_either() -> None:
    values, entities = clustered(1)
    templates = [f"t{i % 5}" for i in range(len(values))]
    values = values + np.tile(np.random.default_rng(2).normal(size=5), len(values) // 5)
    widths = [
        np.ptp(interval(values, clusters, seed=0))
        for clusters in ({"entity": entities, "template": templates}, {"entity": entities}, {"template": templates})
    ]
    assert widths[0] > max(widths[1:])


def test_of_the_draws_a_fortieth_lies_on_either_side() -> None:
    assert central(np.arange(41.0)) == pytest.approx((1, 39))  # 40 steps, 2.5% is one


def test_the_interval_of_independent_values_is_the_textbook_s() -> None:
    values = pd.Series(np.random.default_rng(0).normal(3, 2, size=400))
    low, high = interval(values, {"query": [str(i) for i in range(400)]}, seed=0)
    error = 1.96 * values.std() / 400**0.5
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.1 * error)


def test_identical_systems_do_not_differ() -> None:
    values = pd.Series([0.0, 0.5, 1.0, 1.0])
    found = compare(values, values, {"entity": list("aabb")}, seed=0)
    assert (found.n, found.clusters, found.difference, found.low, found.high, found.p) == (4, 2, 0, 0, 0, 1)


def test_signs_of_four_clusters_by_hand() -> None:
    # 2 of 16 sign patterns reach |1 + 2 + 3 + 4|: p is near 2/16
    first = pd.Series([0.5, 0.5, 2, 3, 4])
    found = compare(first, first * 0, {"entity": list("aabcd")}, seed=0)
    assert found.p == pytest.approx(2 / 16, abs=0.02)
    assert (found.n, found.clusters, found.difference) == (5, 4, 10 / 5)


def test_p_is_uniform_when_nothing_differs_and_small_when_something_does() -> None:
    nothing, something = (
        np.array([compare(v, v * 0, {"entity": g}, seed=0).p for v, g in (clustered(s, 20, 3, e) for s in range(60))])
        for e in (0.0, 2.0)
    )
    assert 0.35 < nothing.mean() < 0.65
    assert (nothing < 0.05).mean() <= 0.15
    assert (something < 0.001).all()


def test_the_same_seed_says_the_same() -> None:
    values, groups = clustered(0)
    assert compare(values, -values, {"e": groups}, 3) == compare(values, -values, {"e": groups}, 3)
    assert compare(values, -values, {"e": groups}, 3) != compare(values, -values, {"e": groups}, 4)


@pytest.mark.parametrize(
    ("raw", "corrected"),
    [
        ([0.01, 0.04, 0.03], [3 * 0.01, 2 * 0.03, 2 * 0.03]),  # sorted: .03, .06, then .04 is raised to .06
        ([0.2], [0.2]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([], []),
    ],
)
def test_holm_by_hand(raw: list[float], corrected: list[float]) -> None:
    assert holm(raw) == pytest.approx(corrected)


GRADES = np.random.default_rng(0).integers(0, 6, size=80).astype(float)


def noisy(noise: float, seed: int) -> np.ndarray:
    return GRADES + noise * np.random.default_rng(seed).normal(size=len(GRADES))


def test_a_better_correlation_is_told_from_a_worse_one() -> None:
    good, bad = noisy(0.5, 1), noisy(20, 2)
    found = compare_correlations(good, bad, GRADES, seed=0)
    assert found.difference == pytest.approx(spearmanr(good, GRADES)[0] - spearmanr(bad, GRADES)[0])
    assert 0 < found.low < found.difference < found.high
    assert (found.p < 0.01, found.n, found.clusters) == (True, 80, 80)


def test_two_of_a_kind_are_not_told_apart() -> None:
    found = compare_correlations(noisy(2, 1), noisy(2, 2), GRADES, seed=0)
    assert found.low < 0 < found.high
    assert found.p > 0.05


def test_equal_correlations_and_constant_scores_are_no_difference() -> None:
    same = compare_correlations(noisy(1, 1), noisy(1, 1), GRADES, seed=0)
    constant = compare_correlations(np.ones(80), np.zeros(80), GRADES, seed=0)
    for found in (same, constant):
        assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)

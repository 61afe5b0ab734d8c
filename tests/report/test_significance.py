import numpy as np
import pandas as pd
import pytest
from memory import taken
from scipy.stats import spearmanr

from hiddenstates.report.significance import (
    central,
    compare,
    compare_correlations,
    holm,
    holm_levels,
    interval,
    told_apart,
)


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
    values = pd.Series([0.0, 0.5, 1.0, 1.0] * 4)
    found = compare(values, values, {"entity": list("aabbccddeeffgghh")}, seed=0)
    assert (found.n, found.clusters, found.difference, found.low, found.high, found.p) == (16, 8, 0, 0, 0, 1)


def test_of_five_groups_nothing_can_be_said() -> None:
    found = compare(pd.Series([1.0] * 5), pd.Series([0.0] * 5), {"entity": list("abcde")}, seed=0)
    assert (found.low, found.high, found.p) == (-1, 1, 2 / 32)
    assert found.flips is not None
    assert found.flips.verdict() == "undecided"


def test_signs_of_four_clusters_by_hand() -> None:
    # 2 of 16 sign patterns reach |1 + 2 + 3 + 4|
    first = pd.Series([0.5, 0.5, 2, 3, 4])
    found = compare(first, first * 0, {"entity": list("aabcd")}, seed=0)
    assert found.p == 2 / 16
    assert (found.n, found.clusters, found.difference) == (5, 4, 10 / 5)


def test_p_is_uniform_when_nothing_differs_and_small_when_something_does() -> None:
    nothing, something = (
        np.array([compare(v, v * 0, {"entity": g}, seed=0).p for v, g in (clustered(s, 20, 3, e) for s in range(60))])
        for e in (0.0, 2.0)
    )
    assert 0.35 < nothing.mean() < 0.65
    assert (nothing < 0.05).mean() <= 0.15
    assert (something < 0.001).all()


def test_what_the_interval_leaves_out_the_test_refutes_and_nothing_else() -> None:
    for seed, effect in enumerate(np.linspace(-1, 1, 21)):
        values, groups = clustered(seed, 12, 2, effect)
        flips = compare(values, values * 0, {"entity": groups}, seed).flips
        assert flips is not None
        for alpha in (0.01, 0.05, 0.2):
            low, high = flips.interval(alpha)
            assert (flips.p() >= alpha) == (low <= 0 <= high)
            assert flips.p(low - 1e-6) < alpha <= flips.p(low + 1e-6)


def test_the_interval_of_a_difference_covers_the_truth() -> None:
    covered = 0
    for seed in range(100):
        values, groups = clustered(seed, clusters=20, effect=0.5)
        found = compare(values, values * 0, {"entity": groups}, seed, bound=9.0)
        covered += found.low <= 0.5 <= found.high
    assert 89 <= covered <= 99  # 95 expected; outside once in 100


def test_two_ways_of_grouping_widen_the_interval_of_a_difference() -> None:
    values, entities = clustered(1)
    templates = [f"t{i % 5}" for i in range(len(values))]
    values = values + np.tile(np.random.default_rng(2).normal(size=5), len(values) // 5)
    one, two = (
        compare(values, 0 * values, ways, 0, bound=9.0)
        for ways in ({"entity": entities}, {"entity": entities, "template": templates})
    )
    assert two.high - two.low > 1.2 * (one.high - one.low)
    assert two.p > one.p


def test_a_difference_that_does_not_matter_is_equivalent_however_sure_it_is() -> None:
    values = pd.Series(1e-9 + 1e-10 * np.random.default_rng(0).normal(size=2000))
    flips = compare(values, values * 0, {"query": [str(i) for i in range(2000)]}, 0).flips
    assert flips is not None
    assert flips.p() < 0.001
    assert flips.verdict(margin=0.01) == "equivalent"
    assert flips.verdict(margin=0.0) == "better"


def test_weights_of_queries_are_those_of_the_mean() -> None:
    values, weights = pd.Series([1.0, 0.0, 0.5, 0.25]), np.array([1.0, 3.0, 2.0, 2.0])
    found = compare(values, 0 * values, {"query": list("abcd")}, 0, weights)
    assert found.difference == pytest.approx((1 + 1 + 0.5) / 8)


def test_among_many_that_differ_by_nothing_few_are_told_apart_and_all_that_do_differ() -> None:
    random, groups = np.random.default_rng(0), [str(i // 2) for i in range(80)]
    noise = random.normal(size=(2000, 80))
    baseline, same = random.normal(size=80), np.ones(80)
    assert told_apart(noise + baseline, baseline, same, groups, 0).sum() <= 1
    assert told_apart(noise + 2 + baseline, baseline, same, groups, 0).all()
    half = np.arange(80) < 40  # the others weigh nothing: that they differ is not seen
    assert told_apart(noise + 2 * half, 0 * same, 1.0 * ~half, groups, 0).sum() <= 1
    assert not told_apart(np.ones((3, 10)), np.zeros(10), np.ones(10), list("aabbccddee"), 0).any()  # 5 groups
    assert not told_apart(np.ones((3, 80)), same, same, groups, 0).any()


def test_differences_of_many_are_never_in_memory_together() -> None:
    values = np.random.default_rng(0).random((30_000, 500), dtype=np.float32)
    groups = [str(i) for i in range(500)]
    assert taken(lambda: told_apart(values, values[0], np.ones(500), groups, 0)) < 2 * values.nbytes


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


def test_the_levels_of_holm_agree_with_its_p_values() -> None:
    for seed in range(50):
        raw = list(np.random.default_rng(seed).random(6) ** 4)
        agreed = [(p < 0.05) == (r < level) for p, r, level in zip(holm(raw), raw, holm_levels(raw), strict=True)]
        assert all(agreed)
    assert holm_levels([0.2, 0.001, 0.02]) == pytest.approx([0.05, 0.05 / 3, 0.05 / 2])


GRADES = np.random.default_rng(0).integers(0, 6, size=80).astype(float)


def noisy(noise: float, seed: int) -> np.ndarray:
    return GRADES + noise * np.random.default_rng(seed).normal(size=len(GRADES))


def test_a_better_correlation_is_told_from_a_worse_one() -> None:
    good, bad = noisy(0.5, 1), noisy(20, 2)
    found = compare_correlations(good, bad, GRADES, seed=0)
    assert found.difference == pytest.approx(spearmanr(good, GRADES)[0] - spearmanr(bad, GRADES)[0])
    assert 0 < found.low < found.difference < found.high
    assert (found.p < 0.01, found.n, found.clusters) == (True, 80, 80)


def test_the_interval_of_correlations_is_that_of_resampled_pairs() -> None:
    good, bad = noisy(1.0, 1), noisy(2.0, 2)
    found, random = compare_correlations(good, bad, GRADES, seed=0), np.random.default_rng(0)
    draws = []
    for _ in range(2000):
        some = random.integers(80, size=80)
        draws.append(spearmanr(good[some], GRADES[some])[0] - spearmanr(bad[some], GRADES[some])[0])
    assert found.high - found.low == pytest.approx(np.subtract(*central(np.array(draws))[::-1]), rel=0.15)


def test_two_of_a_kind_are_not_told_apart() -> None:
    found = compare_correlations(noisy(2, 1), noisy(2, 2), GRADES, seed=0)
    assert found.low < 0 < found.high
    assert found.p > 0.05


def test_equal_correlations_and_constant_scores_are_no_difference() -> None:
    same = compare_correlations(noisy(1, 1), noisy(1, 1), GRADES, seed=0)
    constant = compare_correlations(np.ones(80), np.zeros(80), GRADES, seed=0)
    for found in (same, constant):
        assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)

from typing import Any

import numpy as np
import pytest
from brute_force import (
    CHANGES,
    N_LAYERS,
    N_PASSAGES,
    N_QUERIES,
    Change,
    brute_ranks,
    combined,
    constant,
    corpus,
    crowded,
    duplicated,
    nearly_constant,
    nothing,
)
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hiddenstates.retrieval.ranks import gram
from hiddenstates.retrieval.ranks.gram import Pairs, subset_cosines, subset_ranks
from hiddenstates.retrieval.ranks.subsets import LANES, subset_sums


def check(queries: np.ndarray, passages: np.ndarray, pairs: Pairs) -> None:
    """Every strategy's ranks are those of the brute force, and so are the best of each query; set 0 has none."""
    ranks, best = (subset_ranks(queries, passages, pairs, best) for best in (False, True))
    assert_array_equal(ranks[:, 0], 0)
    assert_array_equal(best[:, 0], 0)
    for combine in range(2):
        for subset in range(1, 1 << len(queries)):
            expected = np.array(brute_ranks(queries, passages, pairs, combine, subset))
            assert_array_equal(ranks[combine, subset], expected)
            assert_array_equal(best[combine, subset], best_of_each(expected, pairs))


def best_of_each(ranks: np.ndarray, pairs: Pairs) -> list[int]:
    """The best rank of each query that searches a judged passage."""
    sought = np.isfinite(pairs.grade)
    return [ranks[sought & (pairs.query == query)].min() for query in np.unique(pairs.query[sought])]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_ranks_are_those_of_a_float64_brute_force(change: Change) -> None:
    check(*corpus(change))


@pytest.mark.parametrize("n_passages", [5, LANES, LANES + 1])
@pytest.mark.parametrize("change", [nothing, duplicated], ids=lambda change: change.__name__)
def test_any_number_of_passages(n_passages: int, change: Change) -> None:
    check(*corpus(change, n_passages))


def test_queries_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = corpus(crowded)
    expected, best = subset_ranks(*whole), subset_ranks(*whole, best=True)
    for size in (1, 5):
        products = N_LAYERS * (N_LAYERS + 1) // 2
        monkeypatch.setattr(gram, "BLOCK_BYTES", size * products * N_PASSAGES * 4)
        edges = list(gram._blocks(N_QUERIES, N_LAYERS, N_PASSAGES))
        assert (edges[0][0], edges[-1][1], len(edges)) == (0, N_QUERIES, -(-N_QUERIES // size))
        assert max(last - first for first, last in edges) == size
        assert_array_equal(subset_ranks(*whole), expected)
        assert_array_equal(subset_ranks(*whole, best=True), best)


def test_more_near_ties_than_expected_are_all_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    capacities, count = [], gram.count_above

    def recorded(*arguments: Any) -> Any:
        capacities.append(arguments[-1])
        return count(*arguments)

    monkeypatch.setattr(gram, "count_above", recorded)
    check(*corpus(nearly_constant))
    assert capacities[1] > capacities[0]


def test_a_sample_of_a_larger_space() -> None:
    random = np.random.default_rng(1)
    passages = random.normal(size=(13, 600, 16)) + 3 * random.normal(size=(13, 1, 16))
    answers = random.permutation(600)[:50]
    queries = (passages[:, answers] + 4 * random.normal(size=(13, 50, 16))).astype(np.float32)
    passages = passages.astype(np.float32)
    pairs = Pairs(np.arange(50), answers, np.ones(50))
    ranks = subset_ranks(queries, passages, pairs)
    assert 1 < np.median(ranks[:, 1:]) < 300  # neither trivial nor chance
    for combine, subset in zip(random.integers(2, size=200), random.integers(1, 1 << 13, size=200), strict=True):
        assert_array_equal(ranks[combine, subset], brute_ranks(queries, passages, pairs, combine, subset))


def test_ties_by_hand() -> None:
    """One layer, one dimension: a passage's cosine is its sign."""
    passages = np.array([[[1], [2], [3], [-1], [1]]], dtype=np.float32)
    queries = np.array([[[1]]], dtype=np.float32)
    judged = Pairs(np.zeros(4, int), np.array([0, 1, 2, 3]), np.array([1.0, 2.0, 2.0, 1.0]))
    # passage 4 is tied and irrelevant: before all; then passage 0, less relevant, before 1, listed before 2
    assert_array_equal(subset_ranks(queries, passages, judged)[:, 1], [[2, 3, 4, 5]] * 2)


def test_layers_that_never_change_rank_everything_last() -> None:
    queries, passages, pairs = corpus(constant)
    ranks = subset_ranks(queries, passages, pairs)
    for subset in (0b0001, 0b0100, 0b0101):
        assert (ranks[:, subset] == N_PASSAGES).all()
    assert (ranks[:, 0b0011] < N_PASSAGES).any()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_cosines_are_those_of_the_embeddings(change: Change) -> None:
    queries, passages, pairs = corpus(change)
    cosines = subset_cosines(queries, passages, pairs)
    for combine in range(2):
        for subset in range(1, 1 << N_LAYERS):
            q, p = combined(queries, combine, subset)[pairs.query], combined(passages, combine, subset)[pairs.passage]
            assert_allclose(cosines[combine, subset], (q * p).sum(1), rtol=0, atol=1e-14)


@settings(deadline=None)
@given(n_layers=st.integers(1, 7), n_items=st.integers(0, 3), seed=st.integers(0, 2**32 - 1))
def test_the_algebra_of_subsets(n_layers: int, n_items: int, seed: int) -> None:
    """Whole numbers, so that every order of additions gives the same sum."""
    matrix = np.random.default_rng(seed).integers(-99, 99, size=(n_layers, n_layers, n_items)).astype(float)
    sums = subset_sums(matrix)
    assert sums.shape == (2, 1 << n_layers, n_items)
    for subset in range(1 << n_layers):
        layers = [i for i in range(n_layers) if subset >> i & 1]
        assert_array_equal(sums[0, subset], matrix[np.ix_(layers, layers)].sum((0, 1)))
        assert_array_equal(sums[1, subset], matrix[layers, layers].sum(0))

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hiddenstates.retrieval.ranks import gram
from hiddenstates.retrieval.ranks.exact import TIE
from hiddenstates.retrieval.ranks.gram import Pairs, subset_cosines, subset_ranks
from hiddenstates.retrieval.ranks.subsets import LANES, subset_sums
from hiddenstates.retrieval.ranks.walk import CHUNK

N_LAYERS, N_QUERIES, N_PASSAGES, WIDTH = 4, CHUNK + 5, 3 * LANES + 11, 12
Corpus = tuple[np.ndarray, np.ndarray, Pairs]
Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], None]


def judgements(n_queries: int, n_passages: int, random: np.random.Generator) -> Pairs:
    """0 to 4 graded passages a query, one of them often shared with the next query."""
    rows = []
    for query in range(n_queries):
        for passage in random.permutation(n_passages)[: random.integers(5)]:
            rows.append((query, passage, random.integers(1, 4)))
    query, passage, grade = np.array(rows).T
    return Pairs(query, passage, grade.astype(float))


def corpus(change: Change, n_passages: int = N_PASSAGES, seed: int = 0) -> Corpus:
    """Random states that `change` works on in float64, before they are rounded as a model's are."""
    random = np.random.default_rng(seed)
    passages = random.normal(size=(N_LAYERS, n_passages, WIDTH))
    queries = random.normal(size=(N_LAYERS, N_QUERIES, WIDTH))
    change(queries, passages, random)
    pairs = judgements(N_QUERIES, n_passages, random)
    return queries.astype(np.float32), passages.astype(np.float32), pairs


def nothing(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    pass


def crowded(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Everything points almost the same way, as the last states of many encoders do."""
    common = 20 * random.normal(size=(N_LAYERS, 1, WIDTH))
    queries[:], passages[:] = common + 1e-3 * queries, common + 2e-4 * passages


def lopsided(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Layers and dimensions of very different size, as before and after a final norm."""
    for states in (queries, passages):
        states *= np.array([1e-3, 1, 30, 1e3])[:, None, None]
        states[:, :, 0] *= 100


def duplicated(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Each text several times, and once more at twice the length, which the cosine cannot see."""
    passages[:] = passages[:, np.arange(passages.shape[1]) % 7]
    passages[:, ::3] *= 2


def constant(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Layers 0 and 2 are the same for every passage."""
    passages[[0, 2]] = passages[[0, 2], :1]


def nearly_constant(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """All passages are the same, but for one."""
    passages[:, 1:] = passages[:, 1:2]


def zero(queries: np.ndarray, passages: np.ndarray, random: np.random.Generator) -> None:
    """Vectors without length at some layers, and at all."""
    passages[1, ::5], passages[:, 3], queries[0, ::4], queries[:, 2] = 0, 0, 0, 0


CHANGES = [nothing, crowded, lopsided, duplicated, constant, nearly_constant, zero]


def combined(states: np.ndarray, combine: int, subset: int) -> np.ndarray:
    """The embeddings of one strategy in float64, of length 1, or 0 where there is none."""
    chosen = [layer.astype(float) for i, layer in enumerate(states) if subset >> i & 1]
    vectors = np.concatenate(chosen, axis=1) if combine else np.sum(chosen, axis=0)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def brute_ranks(queries: np.ndarray, passages: np.ndarray, pairs: Pairs, combine: int, subset: int) -> list[int]:
    """1 and the number of other passages that are better, or tied and less relevant; the last if all are the same."""
    vectors = combined(passages, combine, subset)
    if (vectors == vectors[0]).all():
        return [len(vectors)] * len(pairs.query)
    scores = combined(queries, combine, subset) @ vectors.T
    ranks = []
    for n, (query, passage) in enumerate(zip(pairs.query, pairs.passage, strict=True)):
        grade, listed = np.zeros(scores.shape[1]), np.full(scores.shape[1], -1)
        own = pairs.query == query
        grade[pairs.passage[own]], listed[pairs.passage[own]] = pairs.grade[own], np.flatnonzero(own)
        gap = scores[query] - scores[query, passage]
        wins_ties = (grade < grade[passage]) | ((grade == grade[passage]) & (listed < n))
        ahead = (gap > TIE) | ((np.abs(gap) <= TIE) & wins_ties)
        ahead[passage] = False
        ranks.append(1 + int(ahead.sum()))
    return ranks


def check(queries: np.ndarray, passages: np.ndarray, pairs: Pairs) -> None:
    """Every strategy's ranks are those of the brute force; set 0 has none."""
    ranks = subset_ranks(queries, passages, pairs)
    assert_array_equal(ranks[:, 0], 0)
    for combine in range(2):
        for subset in range(1, 1 << len(queries)):
            assert_array_equal(ranks[combine, subset], brute_ranks(queries, passages, pairs, combine, subset))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_ranks_are_those_of_a_float64_brute_force(change: Change) -> None:
    check(*corpus(change))


@pytest.mark.parametrize("n_passages", [5, LANES, LANES + 1])
@pytest.mark.parametrize("change", [nothing, duplicated], ids=lambda change: change.__name__)
def test_any_number_of_passages(n_passages: int, change: Change) -> None:
    check(*corpus(change, n_passages))


def test_queries_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = corpus(crowded)
    expected = subset_ranks(*whole)
    for size in (1, 5):
        products = N_LAYERS * (N_LAYERS + 1) // 2
        monkeypatch.setattr(gram, "BLOCK_BYTES", size * products * N_PASSAGES * 4)
        edges = list(gram._blocks(N_QUERIES, N_LAYERS, N_PASSAGES))
        assert (edges[0][0], edges[-1][1], len(edges)) == (0, N_QUERIES, -(-N_QUERIES // size))
        assert max(last - first for first, last in edges) == size
        assert_array_equal(subset_ranks(*whole), expected)


def test_more_near_ties_than_expected_are_all_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    capacities, count = [], gram.count_above

    def recorded(*arguments: Any) -> Any:
        capacities.append(arguments[-1])
        return count(*arguments)

    monkeypatch.setattr(gram, "count_above", recorded)
    check(*corpus(nearly_constant))
    first, last = capacities
    assert last > first


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

"""Too many states to try every set: what is scored is exact, and the search finds what is there."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from random_states import MEASURES, TRAIN, states, task

from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.forward.families import State
from hiddenstates.retrieval.deep import near as near_module
from hiddenstates.retrieval.deep.best_first import best_first, members, seeds
from hiddenstates.retrieval.deep.listed import CONCAT, SUM
from hiddenstates.retrieval.deep.near import Near, guiding, packed_gram
from hiddenstates.retrieval.deep.spaces import Ranked, Similar, search
from hiddenstates.retrieval.deep.toggles import toggled_ranks
from hiddenstates.retrieval.ranks.gram import Pairs, subset_cosines, subset_ranks
from hiddenstates.retrieval.strategies import sweep as sweeping
from hiddenstates.retrieval.strategies.space import spaces
from hiddenstates.retrieval.strategies.sweep import extended, picked, sweep, sweep_again

LAYERS, QUERIES, PASSAGES, WIDTH = 5, 30, 400, 16


def space(seed: int = 0) -> tuple[np.ndarray, np.ndarray, Pairs]:
    """Vectors that all point nearly one way; twins among the passages; graded pairs, some that are not searched."""
    random = np.random.default_rng(seed)
    passages = (random.standard_normal((LAYERS, PASSAGES, WIDTH)) + 5).astype(np.float32)
    passages[:, 10] = passages[:, 11]
    queries = (passages[:, :QUERIES] + 1.5 * random.standard_normal((LAYERS, QUERIES, WIDTH))).astype(np.float32)
    found = {(q, q) for q in range(QUERIES)} | {(q, int(random.integers(PASSAGES))) for q in range(QUERIES)}
    query, passage = np.array(sorted(found)).T
    grade = np.where(query == passage, 2.0, random.choice([1.0, 2.0, -np.inf], len(query)))
    return queries, passages, Pairs(query, passage, grade)


ALL = [(combine, row) for combine in (SUM, CONCAT) for row in members(range(1, 1 << LAYERS), LAYERS)]


@pytest.mark.parametrize("change", ["none", "a constant state", "a state of zeros", "states of other sizes"])
def test_named_sets_have_the_ranks_of_the_walk(change: str) -> None:
    queries, passages, pairs = space()
    if change == "a constant state":
        passages[0] = passages[0, 0]
    if change == "a state of zeros":
        queries[2] = passages[2] = 0
    if change == "states of other sizes":
        scale = np.array([1, 1e3, 1e-3, 10, 1], dtype=np.float32)[:, None, None]
        queries, passages = queries * scale, passages * scale
    walked = subset_ranks(queries, passages, pairs)[:, 1:].reshape(len(ALL), -1)
    assert_array_equal(Ranked.of(queries, passages, pairs).ranks(ALL), walked)


def test_more_states_than_bits_of_a_number() -> None:
    random = np.random.default_rng(0)
    passages = random.standard_normal((70, 50, 4)).astype(np.float32)
    queries = passages[:, :5] + random.standard_normal((70, 5, 4)).astype(np.float32)
    pairs = Pairs(np.arange(5), np.arange(5), np.ones(5))
    named = [(SUM, row) for row in members([(1 << 70) - 1, 1 << 69], 70)]
    ranks = Ranked.of(queries, passages, pairs).ranks(named)
    for row, (_, chosen) in zip(ranks, named, strict=True):
        summed = passages[chosen].sum(0, dtype=np.float64)
        scores = queries[chosen].sum(0, dtype=np.float64) @ (summed / np.linalg.norm(summed, axis=1)[:, None]).T
        assert row.tolist() == [1 + int((scores[q] > scores[q, q]).sum()) for q in range(5)]


def near(queries: np.ndarray, passages: np.ndarray, pairs: Pairs) -> Near:
    return Near.of(queries, passages, pairs, packed_gram(passages))


def ranks_of(found: Near, sets: np.ndarray, summed: bool, toggle: bool) -> np.ndarray:
    return toggled_ranks(
        found.products, found.norms, found.passages, found.offsets, found.judged, found.starts,
        sets, summed, toggle,
    )  # fmt: skip


@pytest.mark.parametrize("combine", [SUM, CONCAT])
def test_where_all_passages_are_near_a_toggle_ranks_them_all(combine: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_module, "FEWEST", PASSAGES)
    queries, passages, pairs = space()
    walked = subset_ranks(queries, passages, pairs)[combine][:, np.isfinite(pairs.grade)]
    sets = members(range(1, 1 << LAYERS), LAYERS)
    found = ranks_of(near(queries, passages, pairs), sets, combine == SUM, True)
    assert_array_equal(found[:, -1], walked[1:])
    for mask, rows in enumerate(found, 1):
        for layer in range(LAYERS):
            if mask != 1 << layer:
                assert_array_equal(rows[layer], walked[mask ^ 1 << layer])


def test_what_is_near_holds_what_is_judged_and_never_what_is_not_searched() -> None:
    queries, passages, pairs = space()
    found = near(queries, passages, pairs)
    assert np.isfinite(found.pairs.grade).all()
    for query in range(QUERIES):
        rows = found.passages[found.offsets[query] : found.offsets[query + 1]]
        mine = pairs.query == query
        searched = np.isfinite(pairs.grade[mine])
        assert set(pairs.passage[mine][searched]) <= set(rows)
        assert not set(pairs.passage[mine][~searched]) & set(rows)
        assert len(set(rows)) == len(rows) >= near_module.NEAR // (LAYERS + 1) - 1
    judged = found.passages[found.offsets[found.pairs.query] + found.judged]
    assert_array_equal(judged, found.pairs.passage)


def test_only_so_many_queries_guide_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert_array_equal(guiding(1000, 25, 0), np.arange(1000))
    monkeypatch.setattr(near_module, "ROOM", 1e8)
    some = guiding(1000, 25, 0)
    assert 100 < len(some) < 500
    assert_array_equal(some, guiding(1000, 25, 0))
    assert len(np.unique(some)) == len(some)


def test_similar_pairs_have_the_cosines_of_the_walk() -> None:
    queries, passages, pairs = space()
    walked = subset_cosines(queries, passages, pairs)[:, 1:].reshape(len(ALL), -1)
    assert_allclose(Similar.of(queries, passages, pairs).cosines(ALL), walked, rtol=0, atol=1e-12)


def test_the_best_set_of_a_sum_is_found() -> None:
    worth = np.random.default_rng(0).standard_normal(20)

    def toggled(sets: np.ndarray) -> np.ndarray:
        moves = np.concatenate([np.eye(20, dtype=bool), np.zeros((1, 20), dtype=bool)])
        return (sets[:, None] ^ moves) @ worth

    first = dict(zip(seeds(20), toggled(members(seeds(20), 20))[:, -1].tolist(), strict=True))
    assert len(first) == len(seeds(20)) == 20 + 190 + 171  # states, pairs, runs of three and more
    found = best_first(20, toggled, first, 10**6)
    best = max(found, key=found.__getitem__)
    assert_array_equal(members([best], 20)[0], worth > 0)
    assert found[best] == pytest.approx(worth[worth > 0].sum())
    assert len(best_first(20, toggled, first, 500)) < 500 + 16 * 20


def planted() -> tuple[np.ndarray, np.ndarray, Pairs]:
    """30 states of noise, three of which hold a third each of what tells the passages apart."""
    random = np.random.default_rng(1)
    passages = random.standard_normal((30, 300, 24)).astype(np.float32)
    queries = random.standard_normal((30, 60, 24)).astype(np.float32)
    for layer, part in zip((4, 17, 28), np.split(np.arange(24), 3), strict=True):
        queries[layer] *= 0.9
        queries[layer][:, part] += 2.0 * passages[layer, :60][:, part]
    return queries, passages, Pairs(np.arange(60), np.arange(60), np.ones(60))


def test_the_search_finds_states_that_are_good_together() -> None:
    queries, passages, pairs = planted()
    ranked = Ranked.of(queries, passages, pairs)
    found = search(30, ranked.guide("mrr@10", np.full(60, 1 / 60)), 4000)
    assert found.looked_at < 4000 + 2 * 30 * 16
    assert found.looked_at > len(found.named) > 60
    several = {tuple(np.flatnonzero(chosen)) for _, chosen in found.named if chosen.sum() > 1}
    assert (4, 17, 28) in several
    best = max(zip((1 / ranked.ranks(found.named)).mean(1), found.named, strict=True), key=lambda pair: pair[0])
    assert {4, 17, 28} <= set(np.flatnonzero(best[1][1]))


@pytest.mark.parametrize("measure", ["retrieval", "similarity"])
def test_a_searched_space_has_the_values_of_the_whole_one(measure: str) -> None:
    asked = task(measure)
    whole = sweep(states(), asked, MEASURES, (False, True), [0.5], TRAIN)
    searched = sweep(states(), asked, MEASURES, (False, True), [0.5], TRAIN, most=6)
    assert set(searched.strategies) <= set(whole.strategies)
    assert len(searched.strategies) == len(whole.strategies)  # three states: the search looks at all that there is
    assert whole.possible == whole.looked_at == searched.possible == len(whole.strategies)
    order = [searched.row(strategy) for strategy in whole.strategies]
    for name, values in whole.values.items():
        assert_allclose(searched.values[name][order], values, rtol=0, atol=1e-6)


def deep(n_states: int, seed: int = 0) -> TaskStates:
    random = np.random.default_rng(seed)
    state_map = tuple(State(f"layer.{i}") for i in range(n_states))
    few = states()

    def some(side: PooledStates) -> PooledStates:
        values = {"mean": random.standard_normal((n_states, len(side.ids), 8)).astype(np.float32)}
        return replace(side, values=values, state_map=state_map)

    return TaskStates(some(few.passages), some(few.queries))


def test_forty_states_are_searched_and_asked_again_on_other_queries() -> None:
    found, asked = deep(40), task()
    dev, test = asked.select(set="a"), asked.select(set="b")
    swept = sweep(found, dev, MEASURES, (False,), [0.5], TRAIN, most=3000)
    assert swept.possible == 2 * (2 * (2**40 - 1) - 40)  # plain and whitened
    assert 2 * 140 >= len(swept.strategies) > 2 * 40
    assert 2 * 820 < swept.looked_at < 2 * 4000
    singles = [strategy for strategy in swept.strategies if len(strategy.layers) == 1]
    assert len(singles) == 2 * 40
    again = sweep_again(swept, found, test, MEASURES, TRAIN)
    assert again.strategies == swept.strategies
    nothing = picked([], again)
    for kind in ("single", "sum", "concat"):
        strategy = next(s for s in swept.strategies if s.combine == kind and s.each is None)
        alone = extended(nothing, {strategy: None}, found, test, MEASURES)  # its vectors, by themselves
        assert_allclose(again.means.loc[str(strategy)], alone.means.loc[str(strategy)], rtol=0, atol=1e-6)


def test_asked_again_a_whole_sweep_is_a_sweep() -> None:
    asked = task()
    dev, test = asked.select(set="a"), asked.select(set="b")
    swept = sweep(states(), dev, MEASURES, (False, True), [0.5, 0.9], TRAIN)
    again, anew = (
        sweep_again(swept, states(), test, MEASURES, TRAIN),
        sweep(states(), test, MEASURES, (False, True), [0.5, 0.9], TRAIN),
    )
    assert again.strategies == anew.strategies
    for name in MEASURES:
        assert_array_equal(again.values[name], anew.values[name])


@pytest.mark.parametrize("small", [0, 10_000])
def test_some_strategies_asked_again_have_the_scores_of_all(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "SMALL", small)  # one by one, and all together
    asked = task()
    dev, test = asked.select(set="a"), asked.select(set="b")
    swept = sweep(states(), dev, MEASURES, (False, True), [0.5], TRAIN)
    some = swept.strategies[1::7]
    again = sweep_again(picked(some, swept), states(), test, MEASURES, TRAIN)
    anew = sweep(states(), test, MEASURES, (False, True), [0.5], TRAIN)
    assert set(some) <= set(again.strategies) <= {*some, states().default}
    for name in MEASURES:
        rows = [anew.row(one) for one in again.strategies]
        assert_allclose(again.values[name], anew.values[name][rows], rtol=0, atol=1e-6)


def test_a_space_names_its_strategies_both_ways() -> None:
    for one in spaces("mean", True, [0.5], states().passages, TRAIN):
        every = [strategy for strategy, _, _ in one.strategies()]
        assert len(every) == one.size
        assert [one.strategy(named) for named in one.named(every)] == every
        assert all(map(one.holds, every))
        assert not one.holds(Strategy.parse("0/first+ln"))
        assert not one.holds(Strategy.parse("sum(0,1)/mean"))

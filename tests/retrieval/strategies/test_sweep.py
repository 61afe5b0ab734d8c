from dataclasses import replace

import numpy as np
import pytest
from memory import taken
from numpy.testing import assert_allclose, assert_array_equal
from random_states import MEASURES, N_PASSAGES, N_QUERIES, TRAIN, states, task
from tiny import STATES

from hiddenstates.core.data import QUERY_COLUMNS, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.models.baseline import Baseline
from hiddenstates.encoding.models.head import Normalize
from hiddenstates.retrieval.measures import correlate, evaluate
from hiddenstates.retrieval.search import search
from hiddenstates.retrieval.strategies.sweep import Sweep, _joined, _table, sweep

N_SUBSETS = 2 ** len(STATES) - 1
N_STRATEGIES = N_SUBSETS + (N_SUBSETS - len(STATES))  # a single layer is neither summed nor concatenated


@pytest.fixture(scope="module")
def swept() -> Sweep:
    return sweep(states(), task(), MEASURES, layer_norms=(False, True))


def test_passages_in_another_order_are_refused() -> None:
    shuffled = TaskStates(states().passages.select([f"p{i}" for i in reversed(range(N_PASSAGES))]), states().queries)
    with pytest.raises(LabError, match=r"not those of the task's passages in their order\. Take states\.covered"):
        sweep(shuffled, task(), MEASURES)


def test_every_strategy_is_listed_once_the_simplest_first(swept: Sweep) -> None:
    names = list(map(str, swept.strategies))
    assert len(set(names)) == len(names) == 2 * 2 * N_STRATEGIES
    assert names == list(swept.means.index)
    assert {"0/first", "2/mean+ln", "sum(0..2)/mean", "concat(0,2)/first+ln"} < set(names)
    sizes = [len(s.layers) for s in swept.strategies]
    assert sizes == sorted(sizes)
    assert {(s.combine == "single", len(s.layers) == 1) for s in swept.strategies} == {(True, True), (False, False)}
    assert not {s.combine for s in swept.strategies} - {"single", "sum", "concat"}


def part(n_strategies: int, n_queries: int, seed: int) -> Sweep:
    """Of strategies of one state and of two, in no order."""
    strategies = [
        Strategy(((i,), (i, i + 1))[i % 2], ("single", "sum")[i % 2], f"p{seed}") for i in range(n_strategies)
    ]
    values = np.random.default_rng(seed).random((n_strategies, n_queries), dtype=np.float32)
    return Sweep(strategies, _table({("a", "mrr@10"): values.mean(1)}, strategies), {"mrr@10": values}, [])


def test_parts_become_one_by_one_what_they_are_together() -> None:
    parts = [part(5, 3, seed) for seed in range(3)]
    row = {str(s): values for one in parts for s, values in zip(one.strategies, one.values["mrr@10"], strict=True)}
    whole = _joined(parts)
    names = [str(strategy) for strategy in whole.strategies]
    assert len(set(names)) == len(row) == 15
    assert [len(strategy.layers) for strategy in whole.strategies] == [1] * 9 + [2] * 6
    assert_array_equal(whole.values["mrr@10"], [row[name] for name in names])
    assert_allclose(whole.means["a", "mrr@10"], whole.values["mrr@10"].mean(1))


def test_the_scores_of_many_strategies_are_copied_once() -> None:
    parts = [part(1000, 2000, seed) for seed in range(4)]
    size = sum(one.values["mrr@10"].nbytes for one in parts)
    assert taken(lambda: _joined(parts)) < 1.3 * size
    assert parts == []


def duplicates() -> tuple[TaskStates, Task]:
    """Queries that are passages themselves, under the same id, two of them beside a passage of the same vector."""
    found = states()
    ids = [f"p{i}" for i in range(N_QUERIES)]
    values = {pool: passages.copy() for pool, passages in found.passages.values.items()}
    for passages in values.values():
        passages[:, [40, 41]] = passages[:, [3, 4]]
        passages[0] = 1.0  # a state that is the same for all
    passages = PooledStates(found.passages.ids, values, STATES, "abc")
    judged = {
        f"p{i}": {p: g for p, g in row.items() if p != f"p{i}"} for i, row in enumerate(task().qrels.rows.values())
    }
    judged["p3"] = {"p40": 1.0, "p50": 2.0, "p51": 0.0}
    queries = table([{"id": i, "set": "a"} for i in ids], QUERY_COLUMNS)
    return TaskStates(passages, passages.select(ids)), replace(
        task(), queries=queries, qrels=Qrels(judged), ignore_identical_ids=True
    )


def in_float64(found: TaskStates, strategy: Strategy) -> tuple[np.ndarray, np.ndarray]:
    """Inner products of queries and passages, and the products of their lengths."""
    both = []
    for part in (found.queries, found.passages):
        layers = [part.values[strategy.pool][i].astype(float) for i in strategy.layers]
        both.append(np.concatenate(layers, -1) if strategy.combine == "concat" else np.sum(layers, 0))
    queries, passages = both
    return queries @ passages.T, np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(passages, axis=1))


def test_a_query_that_is_a_passage_never_finds_itself() -> None:
    found, asked = duplicates()
    swept = sweep(found, asked, [*MEASURES, f"mrr@{N_PASSAGES}"])
    # float32 may tell two passages of one vector apart
    alone = [asked.qrels[query].keys().isdisjoint({"p3", "p4", "p40", "p41"}) for query in asked.qrels]
    for strategy in set(swept.strategies).difference(swept.constant):
        scores = np.divide(*in_float64(found, strategy))
        rows = {
            q: {p: round(float(s), 12) for p, s in zip(found.passages.ids, row, strict=True) if p != q}
            for q, row in zip(found.queries.ids, scores, strict=True)
        }
        by_hand = evaluate(Run(rows), asked.qrels, list(swept.values))
        searched = evaluate(search(found, asked, strategy, N_PASSAGES), asked.qrels, MEASURES)
        for measure, values in swept.values.items():
            ours = values[swept.row(strategy)]
            assert_allclose(ours, by_hand[measure], atol=1e-6, err_msg=f"{strategy} {measure}")
            if measure in searched:
                assert_allclose(ours[alone], searched[measure][alone], atol=1e-6, err_msg=f"{strategy} {measure}")
    last = swept.values[f"mrr@{N_PASSAGES}"][swept.row(swept.constant[0])]
    assert last.max() == np.float32(1 / (N_PASSAGES - 1))  # all tied: the last of all but itself


def test_where_ids_of_queries_and_passages_only_coincide_all_is_searched() -> None:
    found, asked = duplicates()
    plain = sweep(found, replace(asked, ignore_identical_ids=False), MEASURES)
    assert plain.means.to_numpy().max() < sweep(found, asked, MEASURES).means.to_numpy().max()


def test_every_value_is_that_of_an_exact_search(swept: Sweep) -> None:
    for strategy in swept.strategies:
        searched = evaluate(search(states(), task(), strategy, N_PASSAGES), task().qrels, MEASURES)
        for measure in MEASURES:
            found = swept.values[measure][swept.row(strategy)]
            assert_array_equal(found, searched[measure].to_numpy(np.float32), err_msg=f"{strategy} {measure}")


def test_a_published_embedding_is_among_them() -> None:
    published = Baseline(Strategy.parse("-1/first,mean"), True, "modules.json").then(Normalize())
    told = TaskStates(*(replace(side, baseline=published) for side in (states().passages, states().queries)))
    swept = sweep(told, task(), MEASURES)
    assert [str(swept.strategies[-1]), len(swept.strategies)] == ["2/first,mean+head", 2 * N_STRATEGIES + 1]
    searched = evaluate(search(told, task(), told.default, N_PASSAGES), task().qrels, MEASURES)
    for measure in MEASURES:
        assert_array_equal(swept.values[measure][-1], searched[measure].to_numpy(np.float32))


def test_means_are_those_of_the_values(swept: Sweep) -> None:
    of = np.array(task().queries["set"][:])
    assert list(swept.means.columns) == [(name, measure) for name in ("b", "a") for measure in MEASURES]
    for name, measure in swept.means.columns:
        assert_allclose(swept.means[name, measure], swept.values[measure][:, of == name].mean(1), rtol=1e-6)
    assert (swept.means.max() > 0).all()


def test_nothing_to_find_scores_zero(swept: Sweep) -> None:
    for values in swept.values.values():
        assert (values[:, 2] == 0).all()
        assert values[:, 0].max() > 0


def constant_first() -> TaskStates:
    """`first` is the same for every text at layer 0, as in BERT."""
    whole = states()
    for side in (whole.passages, whole.queries):
        side.values["first"][0] = 0.5
    return whole


def test_constant_strategies_are_named_and_find_nothing() -> None:
    swept = sweep(constant_first(), task(), MEASURES, layer_norms=(False, True))
    assert list(map(str, swept.constant)) == ["0/first", "0/first+ln"]
    assert (swept.means.loc[["0/first", "0/first+ln"]] == 0).all(axis=None)
    assert swept.means.loc["0/mean"].max() > 0


def test_similarity_is_the_correlation_of_the_judged_pairs() -> None:
    pairs = task("similarity")
    swept = sweep(constant_first(), pairs, [], layer_norms=(False, True))
    of = np.array(pairs.queries["set"][:])
    for name in pairs.sets:  # each query's share of the correlation: the mean is the correlation
        shared = swept.values["spearman"][:, of == name].mean(1)
        assert_allclose(shared, swept.means[name, "spearman"], atol=1e-6)
    for strategy in swept.strategies:
        if strategy in swept.constant:
            assert (swept.means.loc[str(strategy)] == 0).all()
            continue
        run = search(constant_first(), pairs, strategy, 1)
        for name in pairs.sets:
            expected = correlate(run, pairs.select(set=name).qrels)
            assert swept.means.loc[str(strategy)][name].to_dict() == pytest.approx(expected, abs=1e-6)


def test_states_that_are_no_numbers_are_refused() -> None:
    broken = states()
    broken.passages.values["mean"][1, 5, 0] = np.nan
    with pytest.raises(LabError, match=r"states: layer 1 under mean holds NaN or infinity, first in 'p5'\. Nothing"):
        sweep(broken, task(), MEASURES)


def test_a_task_without_anything_to_find_is_refused() -> None:
    with pytest.raises(
        LabError, match=r"sweep: of 0 queries none has a relevant passage\. Give the split more: corpus\.shares"
    ):
        sweep(states(), task().select(split="train"), MEASURES)


def test_queries_without_states_are_named() -> None:
    whole = states()
    with pytest.raises(LabError, match="no states of item 'q0'"):
        sweep(TaskStates(whole.passages, whole.queries.select(["q1"])), task(), MEASURES)


def test_row_finds_a_strategy(swept: Sweep) -> None:
    strategy = Strategy.parse("concat(0,2)/first+ln")
    assert swept.means.index[swept.row(strategy)] == str(strategy)


SHRINKAGES = [0.5, 0.9]


@pytest.fixture(scope="module")
def whitened() -> Sweep:
    return sweep(states(), task(), MEASURES, (False, True), SHRINKAGES, TRAIN)


def test_whitened_states_are_further_strategies(swept: Sweep, whitened: Sweep) -> None:
    assert len(set(whitened.strategies)) == len(whitened.strategies) == 3 * len(swept.strategies)
    plain = [i for i, strategy in enumerate(whitened.strategies) if strategy.each is None]
    assert [whitened.strategies[i] for i in plain] == swept.strategies
    for measure in MEASURES:
        assert_array_equal(whitened.values[measure][plain], swept.values[measure])
    assert {"0/first+each.5", "concat(0,2)/mean+ln+each.9"} < set(whitened.means.index)


def test_every_whitened_value_is_that_of_the_embedding_in_float64(whitened: Sweep) -> None:
    """By another way: each embedding made by `embed`, of whitenings fitted anew, scored by brute force."""
    train, asked = states().passages.select(TRAIN), task().queries["id"][:]
    for strategy in whitened.strategies:
        if strategy.each is None:
            continue
        whitening = fitted(strategy, train)
        queries, passages = (
            side.embed(strategy.unscaled, whitening).vectors.astype(np.float64)
            for side in (states().queries.select(asked), states().passages)
        )
        scores = queries @ (passages / np.linalg.norm(passages, axis=1, keepdims=True)).T
        run = Run(
            {
                q: dict(zip(states().passages.ids, row, strict=True))
                for q, row in zip(asked, scores.tolist(), strict=True)
            }
        )
        expected = evaluate(run, task().qrels, MEASURES)
        for measure in MEASURES:
            found = whitened.values[measure][whitened.row(strategy)]
            assert_allclose(found, expected[measure], atol=1e-6, err_msg=f"{strategy} {measure}")


def test_whitened_pairs_correlate_as_their_embeddings(whitened: Sweep) -> None:
    pairs = task("similarity")
    found = sweep(states(), pairs, MEASURES, (True,), [0.5], TRAIN)
    strategy = Strategy.parse("concat(0,2)/mean+ln+each.5")
    run = search(states(), pairs, strategy, 1, fitted(strategy, states().passages.select(TRAIN)))
    expected = correlate(run.select(pairs.select(set="a").qrels), pairs.select(set="a").qrels)
    assert_allclose(found.means.loc[str(strategy), "a"]["pearson"], expected["pearson"], atol=1e-5)
    alone = sweep(states(), pairs, ["spearman"], (True,), [0.5], TRAIN)
    assert list(alone.values) == ["spearman"]
    assert (alone.values["spearman"] == found.values["spearman"]).all()
    assert alone.means["a"]["spearman"].equals(found.means["a"]["spearman"])


def test_a_state_that_does_not_vary_is_left_out_of_whitening() -> None:
    still = states()
    for side in (still.passages, still.queries):
        side.values["first"][0] = 1.5
    found = sweep(still, task(), MEASURES, (False,), [0.5], TRAIN)
    names = [str(s) for s in found.strategies if s.each is not None and s.pool == "first"]
    assert names == ["1/first+each.5", "2/first+each.5", "sum(1,2)/first+each.5", "concat(1,2)/first+each.5"]
    assert [str(s) for s in found.constant] == ["0/first"]


def test_nothing_is_whitened_without_training_passages() -> None:
    found = sweep(states(), task(), MEASURES, (False,), SHRINKAGES, [])
    assert found.strategies == sweep(states(), task(), MEASURES).strategies

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tiny import STATES

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.retrieval.choosing.best import overall
from hiddenstates.retrieval.measures import correlate, evaluate
from hiddenstates.retrieval.search import search
from hiddenstates.retrieval.strategies import mixing
from hiddenstates.retrieval.strategies.mixing import learn_weights
from hiddenstates.retrieval.strategies.sweep import Sweep, extended, sweep

N, WIDTH = 60, 8
MEASURES = ["recall@3", "mrr@10", "ndcg@10"]


def task(measure: str = "retrieval", sets: str = "ab") -> Task:
    """Query i seeks passage i; for similarity, a pair's score is the cosine of layer 1 under `first`."""
    ids = [f"p{i}" for i in range(N)]
    queries = table([{"id": f"q{i}", "set": sets[i % len(sets)]} for i in range(N)], QUERY_COLUMNS)
    kb = KnowledgeBase(table([{"id": i} for i in ids], PASSAGE_COLUMNS), Path(), "r")
    grades = cosines(1) if measure == "similarity" else np.ones(N)
    return Task(kb, queries, Qrels({f"q{i}": {f"p{i}": float(grades[i])} for i in range(N)}), measure)  # type: ignore[arg-type]


def states() -> TaskStates:
    """Query and passage i resemble each other at one layer, 1 under `first` and 2 under `mean`; elsewhere by chance."""
    random = np.random.default_rng(0)

    def noise() -> np.ndarray:
        return random.standard_normal((len(STATES), N, WIDTH)).astype(np.float32)

    sides = [{"first": noise(), "mean": noise()} for _ in range(2)]
    for pool, layer in (("first", 1), ("mean", 2)):
        sides[1][pool][layer] = sides[0][pool][layer] + 0.5 * sides[1][pool][layer]
    queries, passages = (
        PooledStates([f"{name}{i}" for i in range(N)], values, STATES, "abc")
        for name, values in zip("qp", sides, strict=True)
    )
    return TaskStates(passages, queries)


def cosines(layer: int) -> np.ndarray:
    pairs = states()
    q, p = (side.embed(Strategy((layer,), "single", "first")).vectors for side in (pairs.queries, pairs.passages))
    return np.einsum("nd,nd->n", q, p)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(("pool", "layer"), [("first", 1), ("mean", 2)])
def test_the_weight_goes_to_the_layer_that_tells(pool: str, layer: int, layer_norm: bool) -> None:
    strategy = learn_weights(states(), task(), pool, layer_norm, seed=0)
    weights = dict(zip(strategy.layers, strategy.weights, strict=True))
    assert weights[layer] > 0.8
    assert sum(weights.values()) == pytest.approx(1, abs=2e-4)
    assert (strategy.combine, strategy.pool, strategy.layer_norm) == ("sum", pool, layer_norm)


def test_two_layers_that_tell_share_the_weight() -> None:
    both = states()
    both.passages.values["first"][2] = both.queries.values["first"][2] + 0.5 * both.passages.values["first"][2]
    strategy = learn_weights(both, task(), "first", False, seed=0)
    weights = dict(zip(strategy.layers, strategy.weights, strict=True))
    assert weights[1] == pytest.approx(weights[2], abs=0.2)
    assert weights[1] + weights[2] > 0.8


def test_similarity_learns_what_correlates() -> None:
    pairs = task("similarity")
    strategy = learn_weights(states(), pairs, "first", False, seed=0)
    equal = Strategy((0, 1, 2), "sum", "first")
    assert dict(zip(strategy.layers, strategy.weights, strict=True))[1] > 0.9
    ours, theirs = (correlate(search(states(), pairs, s, 1), pairs.qrels)["pearson"] for s in (strategy, equal))
    assert ours > theirs


def test_learning_again_gives_the_same_and_the_string_holds_all_of_it() -> None:
    for pool, layer_norm in product(["first", "mean"], [False, True]):
        learned = learn_weights(states(), task(), pool, layer_norm, seed=3)
        assert learned == learn_weights(states(), task(), pool, layer_norm, seed=3)
        assert (learned.pool, learned.layer_norm) == (pool, layer_norm)
        assert Strategy.parse(str(learned)) == learned


def test_only_the_sets_asked_for_teach() -> None:
    """Set b seeks passages that do not resemble its queries; what set a teaches is not disturbed."""
    honest = task()
    wrong = {q: {f"p{(int(q[1:]) + 7) % N}": 1.0} if int(q[1:]) % 2 else row for q, row in honest.qrels.rows.items()}
    misled = replace(honest, qrels=Qrels(wrong))
    assert learn_weights(states(), misled, "first", False, 0, ["a"]).weights[1] > 0.8
    assert learn_weights(states(), misled, "first", False, 0, ["b"]).weights[1] < 0.5


def test_queries_without_anything_to_find_teach_nothing() -> None:
    rows = {q: {"p0": 0.0} if q in ("q2", "q3") else row for q, row in task().qrels.rows.items()}
    strategy = learn_weights(states(), replace(task(), qrels=Qrels(rows)), "first", False, seed=0)
    assert strategy.weights[1] > 0.8


def test_a_weight_that_rounds_to_nothing_leaves_its_layer_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing, "DIGITS", 0)
    assert str(learn_weights(states(), task(), "first", False, seed=0)) == "1/first"


@pytest.fixture(scope="module")
def swept() -> Sweep:
    return sweep(states(), task(), MEASURES)


def added() -> dict[Strategy, Whitenings | None]:
    plain = Strategy.parse("concat(0,2)/mean+ln")
    mixed = Strategy.parse("sum(0*0.25,1*0.75)/first")
    whitening = [replace(s, whiten=0.5) for s in (plain, mixed)]
    return {mixed: None, **{s: fitted(s, states().passages) for s in whitening}}


def test_added_strategies_score_as_an_exact_search_does(swept: Sweep) -> None:
    whole = extended(swept, added(), states(), task(), MEASURES)
    assert whole.strategies == [*swept.strategies, *added()]
    assert list(whole.means.index) == list(map(str, whole.strategies))
    for strategy, whitening in added().items():
        run = search(states(), task(), strategy, N, whitening)
        expected = evaluate(run, task().qrels, MEASURES)
        for measure in MEASURES:
            found = whole.values[measure][whole.row(strategy)]
            assert_array_equal(found, expected[measure].to_numpy(np.float32), err_msg=f"{strategy} {measure}")
            assert whole.means.loc[str(strategy), ("a", measure)] == pytest.approx(expected[measure][::2].mean())


def test_added_strategies_correlate_as_an_exact_search_does() -> None:
    pairs = task("similarity", "a")
    whole = extended(sweep(states(), pairs, []), added(), states(), pairs, [])
    for strategy, whitening in added().items():
        expected = correlate(search(states(), pairs, strategy, 1, whitening), pairs.qrels)
        assert whole.means.loc[str(strategy)]["a"].to_dict() == pytest.approx(expected, abs=1e-6)


def test_what_is_known_is_not_added_again_and_constant_is_named(swept: Sweep) -> None:
    still = states()
    still.passages.values["mean"][:2] = still.queries.values["mean"][:2] = 1.0
    constant = Strategy.parse("sum(0*0.5,1*0.5)/mean")
    whole = extended(swept, {Strategy.parse("1/first"): None, constant: None}, still, task(), MEASURES)
    assert whole.strategies == [*swept.strategies, constant]
    assert whole.constant == [constant]
    assert (whole.means.loc[str(constant)] == 0).all()
    assert str(constant) not in overall(whole, "mrr@10").index


def test_layers_beyond_the_limit_get_no_weight() -> None:
    found = learn_weights(states(), task(), "mean", False, 0, highest=1)
    assert set(found.layers) <= {0, 1}
    assert learn_weights(states(), task(), "mean", False, 0, highest=0) == Strategy((0,), "single", "mean")
    assert learn_weights(states(), task(), "mean", False, 0, highest=9) == learn_weights(
        states(), task(), "mean", False, 0
    )

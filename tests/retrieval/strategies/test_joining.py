import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from random_states import MEASURES, TRAIN, states, task

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import join, parse
from hiddenstates.core.relevance import Run
from hiddenstates.encoding.embeddings.fitting import fitted_all
from hiddenstates.retrieval.measures import correlate, evaluate
from hiddenstates.retrieval.search import search
from hiddenstates.retrieval.strategies.joining import WEIGHTS, sweep_joined
from hiddenstates.retrieval.strategies.sweep import extended, sweep

NAMES = ["2/mean", "concat(0,1)/first+ln+each.5", "sum(0..2)/mean+white.9", "0.5*0/first & 0.5*1/first"]
CANDIDATES = [parse(name) for name in NAMES]
WHITENING = fitted_all(CANDIDATES, states().passages.select(TRAIN))


def cosines(strategy, of=states):  # type: ignore[no-untyped-def]
    """By brute force in float64, part by part."""
    asked = of().queries.select(task().queries["id"][:])
    units = (side.embed(strategy.unscaled, WHITENING).vectors.astype(np.float64) for side in (asked, of().passages))
    queries, passages = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in units)
    return queries @ passages.T


def test_every_pair_and_weight_scores_as_brute_force_in_float64() -> None:
    found = sweep_joined(states(), task(), CANDIDATES, MEASURES, WHITENING)
    assert len(found.strategies) == 6 * len(WEIGHTS)
    row = 0
    for i, first in enumerate(CANDIDATES):
        for second in CANDIDATES[i + 1 :]:
            for weight in WEIGHTS:
                scores = weight * cosines(first) + (1 - weight) * cosines(second)
                lists = (dict(zip(states().passages.ids, line, strict=True)) for line in scores.tolist())
                run = Run(dict(zip(task().queries["id"][:], lists, strict=True)))
                expected = evaluate(run, task().qrels, MEASURES)
                for measure in MEASURES:
                    assert_allclose(found.values[measure][row], expected[measure], atol=1e-6)
                assert found.strategies[row] == join([(first, weight), (second, round(1 - weight, 6))])
                row += 1


def test_one_vector_ranks_as_the_parts_together() -> None:
    found = sweep_joined(states(), task(), CANDIDATES, MEASURES, WHITENING, [0.3])
    one = extended(found, {}, states(), task(), MEASURES)
    assert one.strategies == found.strategies
    for strategy in found.strategies:
        searched = evaluate(search(states(), task(), strategy, 90, WHITENING), task().qrels, MEASURES)
        for measure in MEASURES:
            assert_allclose(found.values[measure][found.row(strategy)], searched[measure], atol=1e-6)


def test_equal_passages_are_tied_and_ties_are_misses() -> None:
    twins = states()
    for values in twins.passages.values.values():
        values[:, 50:60] = values[:, :10]
    alone = [parse("2/mean"), parse("concat(0,1)/first+ln")]
    found = sweep_joined(twins, task(), alone, MEASURES)
    for weight, strategy in zip(WEIGHTS, found.strategies, strict=True):
        scores = weight * cosines(alone[0], lambda: twins) + (1 - weight) * cosines(alone[1], lambda: twins)
        lists = (dict(zip(twins.passages.ids, line, strict=True)) for line in np.round(scores, 12).tolist())
        expected = evaluate(Run(dict(zip(task().queries["id"][:], lists, strict=True))), task().qrels, MEASURES)
        assert_allclose(found.values["mrr@10"][found.row(strategy)], expected["mrr@10"], atol=1e-6)


def test_small_blocks_and_little_room_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sweep_joined(states(), task(), CANDIDATES, MEASURES, WHITENING)
    monkeypatch.setattr("hiddenstates.retrieval.strategies.joining.BLOCK_BYTES", 4 * 4 * 90 * 7)
    monkeypatch.setattr("hiddenstates.retrieval.strategies.joining.CAPACITY", 1)
    monkeypatch.setattr("hiddenstates.retrieval.strategies.joining.ROUNDING", 0.01)  # nearly everything is near
    again = sweep_joined(states(), task(), CANDIDATES, MEASURES, WHITENING)
    for measure in MEASURES:
        assert_array_equal(again.values[measure], whole.values[measure])


def test_pairs_correlate_as_their_joined_embeddings() -> None:
    pairs = task("similarity")
    found = sweep_joined(states(), pairs, CANDIDATES, MEASURES, WHITENING, [0.3], [(0, 1)])
    (strategy,) = found.strategies
    expected = correlate(search(states(), pairs, strategy, 1, WHITENING).select(pairs.select(set="b").qrels),
                         pairs.select(set="b").qrels)  # fmt: skip
    assert_allclose(found.means.loc[str(strategy), "b"]["spearman"], expected["spearman"], atol=1e-6)


def test_the_partners_named_are_joined_and_no_others() -> None:
    found = sweep_joined(states(), task(), CANDIDATES, MEASURES, WHITENING, [0.25, 0.5], [(0, 3)])
    assert list(map(str, found.strategies)) == [
        "0.25*2/mean & 0.375*0/first & 0.375*1/first",
        "0.5*2/mean & 0.25*0/first & 0.25*1/first",
    ]
    with pytest.raises(LabError, match="there are no two to join"):
        sweep_joined(states(), task(), CANDIDATES[:1], MEASURES, WHITENING)


def test_nothing_is_gained_by_joining_a_strategy_with_itself_in_other_words() -> None:
    same = [parse("concat(0,1)/mean"), parse("concat(1,0)/mean")]
    alone = sweep(states(), task(), MEASURES)
    found = sweep_joined(states(), task(), same, MEASURES)
    for values in found.values["mrr@10"]:
        assert_array_equal(values, alone.values["mrr@10"][alone.row(same[0])])

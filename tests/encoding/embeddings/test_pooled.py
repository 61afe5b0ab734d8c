from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tiny import STATES, pooled_states

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import parse
from hiddenstates.core.strategy import DEFAULT, Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.whitening import Whitening, Whitenings
from hiddenstates.encoding.models.baseline import MEAN
from hiddenstates.encoding.models.head import Linear

# Two items of two dimensions at three layers.
HAND = np.array([[[3, 4], [1, 0]], [[0, 2], [0, 5]], [[6, 8], [-2, 0]]], dtype=np.float32)


def hand() -> PooledStates:
    return PooledStates(["a", "b"], {"mean": HAND}, STATES, "abc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0/mean+raw", [[3, 4], [1, 0]]),
        ("0/mean", [[3 / 5, 4 / 5], [1, 0]]),
        ("-1/mean", [[6 / 10, 8 / 10], [-1, 0]]),
        ("sum(0,1)/mean+raw", [[3 + 0, 4 + 2], [1 + 0, 0 + 5]]),
        ("mean(0,2)/mean+raw", [[(3 + 6) / 2, (4 + 8) / 2], [(1 - 2) / 2, 0]]),
        ("concat(1,0)/mean+raw", [[3, 4, 0, 2], [1, 0, 0, 5]]),  # layers ascend
        (
            "concat(0,2)/mean",
            [[3 / 125**0.5, 4 / 125**0.5, 6 / 125**0.5, 8 / 125**0.5], [1 / 5**0.5, 0, -2 / 5**0.5, 0]],
        ),
    ],
)
def test_by_hand(text: str, expected: list[list[float]]) -> None:
    embeddings = hand().embed(Strategy.parse(text))
    np.testing.assert_allclose(embeddings.vectors, expected, rtol=1e-6)
    assert embeddings.vectors.dtype == np.float32
    assert (embeddings.ids, embeddings.fingerprint) == (["a", "b"], "abc")
    assert embeddings.strategy == Strategy.parse(text).resolve(3)


def test_each_state_is_normed_before_they_are_combined() -> None:
    # (3, 4): mean 3.5, deviation .5, so (-1, 1); (0, 2) likewise; (1, 0) and (0, 5): (1, -1) and (-1, 1)
    found = hand().embed(Strategy.parse("sum(0,1)/mean+ln+raw")).vectors
    np.testing.assert_allclose(found, [[-1 - 1, 1 + 1], [1 - 1, -1 + 1]], atol=1e-6)


def test_a_sum_may_be_weighted() -> None:
    found = hand().embed(Strategy.parse("sum(2*0.5,0*2)/mean+raw")).vectors
    np.testing.assert_allclose(found, [[2 * 3 + 6 / 2, 2 * 4 + 8 / 2], [2 * 1 - 2 / 2, 0]], rtol=1e-6)


def test_embedding_leaves_the_states_as_they_are() -> None:
    states = hand()
    before = HAND.copy()
    states.embed(DEFAULT).vectors[:] = 0
    states.embed(DEFAULT.unscaled).vectors[:] = 0
    assert_array_equal(states.values["mean"], before)


def test_a_pooling_that_was_not_kept_is_refused() -> None:
    with pytest.raises(LabError, match=r"strategy -1/max: only mean were pooled\. Add it to the encoder's poolings"):
        hand().embed(Strategy.parse("-1/max"))


def test_several_poolings_stand_side_by_side() -> None:
    states = replace(hand(), values={"mean": HAND, "max": HAND + 10})
    found = states.embed(Strategy.parse("concat(0,2)/max,mean+raw")).vectors
    assert_array_equal(found[0], [13, 14, 3, 4, 16, 18, 6, 8])


def test_a_head_that_the_model_has_not_is_refused() -> None:
    with pytest.raises(
        LabError, match=r"strategy -1/mean\+head: this model has no modules after pooling\. Leave \+head"
    ):
        hand().embed(Strategy.parse("-1/mean+head"))


def test_a_head_for_another_width_is_refused() -> None:
    states = replace(hand(), baseline=MEAN.then(Linear(np.ones((3, 2), dtype=np.float32))))
    with pytest.raises(LabError, match=r"head: its linear takes 2 dimensions, the vectors have 4\. Leave \+head out"):
        states.embed(Strategy.parse("concat(0,2)/mean+head"))


def test_a_head_comes_before_whitening_and_scaling() -> None:
    states = replace(hand(), baseline=MEAN.then(Linear(np.array([[2, 0], [0, 1]], dtype=np.float32))))
    strategy = Strategy.parse("0/mean+head+white.5+raw")
    moved = Whitening(np.array([6, 0], dtype=np.float32), np.eye(2, dtype=np.float32))
    found = states.embed(strategy, Whitenings({str(strategy.scaled): moved})).vectors
    assert_array_equal(found, [[2 * 3 - 6, 4], [2 * 1 - 6, 0]])


def test_a_vector_without_length_is_refused() -> None:
    values = HAND.copy()
    values[0, 1] = 0
    states = replace(hand(), values={"mean": values})
    with pytest.raises(LabError, match="strategy 0/mean: item 'b' has a vector of length 0; it has no direction"):
        states.embed(Strategy.parse("0/mean"))
    assert_array_equal(states.embed(Strategy.parse("0/mean+raw")).vectors[1], [0, 0])


def test_select_keeps_the_order_asked_for() -> None:
    states = pooled_states(5)
    some = states.select(["p3", "p0", "p3"])
    assert some.ids == ["p3", "p0", "p3"]
    assert_array_equal(some.values["first"], states.values["first"][:, [3, 0, 3]])
    assert (some.state_map, some.fingerprint) == (states.state_map, states.fingerprint)


def test_select_names_an_unknown_item() -> None:
    with pytest.raises(LabError, match="no states of item 'p9'"):
        pooled_states(2).select(["p0", "p9"])


@pytest.mark.parametrize(
    "text", ["1/mean", "concat(0,2)/first", "sum(0,2)/first,mean", "0.5*0/first & 0.5*sum(1,2)/mean"]
)
def test_what_a_strategy_needs_makes_its_embedding(text: str) -> None:
    states, strategy = pooled_states(5), parse(text)
    needed = states.needed(strategy)
    assert sum(layers.nbytes for layers in needed.values.values()) <= sum(x.nbytes for x in states.values.values())
    assert needed.layers == tuple(strategy.layers)
    assert set(needed.values) == set(strategy.pools)
    found = needed.take([1, 3]).embed(strategy)
    assert found.ids == ["p1", "p3"]
    assert_array_equal(found.vectors, states.embed(strategy).vectors[[1, 3]])


def test_saved_states_come_back(tmp_path: Path) -> None:
    states = replace(pooled_states(3), ids=["Ω 1", "b", "c"])
    states.save(tmp_path / "s.safetensors")
    back = PooledStates.load(tmp_path / "s.safetensors")
    assert (back.ids, back.state_map, back.fingerprint) == (states.ids, states.state_map, states.fingerprint)
    assert set(back.values) == {"first", "mean"}
    for name, values in states.values.items():
        assert_array_equal(back.values[name], values)


def test_a_selection_is_saved_as_it_is(tmp_path: Path) -> None:
    """numpy lays a selection out in another order, and safetensors would write its bytes as they lie."""
    chosen = pooled_states(5).select(["p3", "p0", "p4"])
    chosen.save(tmp_path / "chosen.safetensors")
    saved = PooledStates.load(tmp_path / "chosen.safetensors")
    for name, states in chosen.values.items():
        assert_array_equal(saved.values[name], states)


def test_the_same_states_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pooled_states(3).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_that_holds_no_states_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    pooled_states(3).save(path)
    whole = path.read_bytes()
    for content in (whole[:-40], whole[:20], b"", b"no tensors here"):
        path.write_bytes(content)
        with pytest.raises(
            LabError, match=r"s\.safetensors: no pooled states can be read .*Run the stage `states` again"
        ):
            PooledStates.load(path)
    with pytest.raises(LabError, match="no pooled states can be read"):
        PooledStates.load(tmp_path / "nowhere")

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny import pooled_states

from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.fitting import fitted
from hiddenstates.encoding.embeddings.pooled import layer_normed
from hiddenstates.encoding.embeddings.whitening import Whitenings, fit


def test_each_state_is_whitened_by_itself_after_its_layer_norm() -> None:
    train, states = pooled_states(50), pooled_states(5, seed=1)
    strategy = Strategy.parse("concat(0,2)/mean+ln+each.5+raw")
    known, values = (layer_normed(side.values["mean"]) for side in (train, states))
    whitenings = {layer: fit(known[layer], 0.5) for layer in (0, 2)}
    parts = [(values[layer] - w.mean) @ w.matrix for layer, w in whitenings.items()]
    found = states.embed(strategy, fitted(strategy, train)).vectors
    assert_allclose(found, np.concatenate(parts, axis=1), rtol=1e-4, atol=1e-5)


def test_what_is_combined_may_be_whitened_again() -> None:
    train = pooled_states(50)
    strategy = Strategy.parse("concat(0,2)/mean+each.5+white.1")
    whitening = fitted(strategy, train)
    assert list(whitening.parts) == ["0/mean+each.5", "2/mean+each.5", "concat(0,2)/mean+each.5+white.1"]
    before = train.embed(replace(strategy, whiten=None).unscaled, whitening).vectors
    assert_array_equal(train.embed(strategy.unscaled, whitening).vectors, fit(before, 0.1).apply(before))


def test_a_strategy_that_whitens_nothing_needs_nothing() -> None:
    assert fitted(Strategy.parse("sum(0,2)/mean+ln"), pooled_states(3)).parts == {}


def test_layers_counted_from_the_end_are_the_same_ones() -> None:
    train, last, named = pooled_states(50), Strategy.parse("-1/mean+each.5"), Strategy.parse("2/mean+each.5")
    assert_array_equal(train.embed(last, fitted(last, train)).vectors, train.embed(named, fitted(named, train)).vectors)


def test_an_item_comes_out_the_same_alone_as_among_others() -> None:
    train, states = pooled_states(50), pooled_states(40, seed=1)
    strategy = Strategy.parse("sum(0,1,2)/mean+each.5")
    whitening = fitted(strategy, train)
    together = states.embed(strategy, whitening).vectors
    for i, id in enumerate(states.ids):
        assert_array_equal(states.select([id]).embed(strategy, whitening).vectors[0], together[i])


def test_whitenings_come_back_from_their_file(tmp_path: Path) -> None:
    train = pooled_states(50)
    strategy = Strategy.parse("concat(0,2)/mean+each.5")
    whitening = fitted(strategy, train)
    whitening.save(tmp_path / "w.safetensors")
    back = Whitenings.load(tmp_path / "w.safetensors")
    assert list(back.parts) == list(whitening.parts)
    assert back.fingerprint == whitening.fingerprint
    assert_array_equal(train.embed(strategy, back).vectors, train.embed(strategy, whitening).vectors)


def test_the_fingerprint_is_that_of_what_is_used() -> None:
    train = pooled_states(50)
    one, other = Strategy.parse("0/mean+each.5"), Strategy.parse("2/mean+each.5")
    both = fitted(one, train) | fitted(other, train)
    assert train.embed(one, both).fingerprint == train.embed(one, fitted(one, train)).fingerprint
    assert len({train.embed(s, both).fingerprint for s in (one, other, Strategy.parse("0/mean"))}) == 3


def test_the_whitening_of_another_strategy_is_refused() -> None:
    train = pooled_states(50)
    whitening = fitted(Strategy.parse("0/mean+each.5"), train)
    with pytest.raises(LabError, match=r"strategy 0/mean\+each\.9: it whitens, and no whitening is given\. Embed by"):
        train.embed(Strategy.parse("0/mean+each.9"), whitening)

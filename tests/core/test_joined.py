import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.testing import assert_allclose
from tiny import pooled_states
from valid_strategies import valid

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import Joined, join, parse, terms
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.fitting import fitted


@st.composite
def joined(draw: st.DrawFn) -> Joined:
    parts = draw(st.lists(valid().map(lambda s: s.scaled), min_size=2, max_size=4, unique=True))
    shares = draw(st.lists(st.integers(1, 1000), min_size=len(parts), max_size=len(parts)))
    return Joined(tuple(parts), tuple(share / sum(shares) for share in shares))


@given(joined())
def test_a_joined_strategy_comes_back_from_its_string(strategy: Joined) -> None:
    assert parse(str(strategy)) == strategy


@given(valid())
def test_one_that_is_not_joined_is_parsed_as_before(strategy: Strategy) -> None:
    assert parse(str(strategy)) == strategy


def test_a_string_names_it() -> None:
    found = parse("0.3*6/mean & 0.7*concat(0,5,6)/max+ln+each.5")
    assert terms(found) == {Strategy.parse("6/mean"): 0.3, Strategy.parse("concat(0,5,6)/max+ln+each.5"): 0.7}
    assert (found.layers, found.pools) == ((0, 5, 6), ["mean", "max"])
    assert str(found) == "0.3*6/mean & 0.7*concat(0,5,6)/max+ln+each.5"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0.3*6/mean & 0.3*5/mean", "not 1 in all"),
        ("-0.5*6/mean & 1.5*5/mean", "not above 0"),
        ("0.5*6/mean & 0.5*6/mean", "names a part twice"),
        ("0.5*6/mean & 0.5*5/mean+raw", r"Leave \+raw out"),
        ("6/mean & 0.5*5/mean", "could not convert"),
        ("nan*6/mean & 0.5*5/mean", "not above 0"),
        ("0.5*6/mean & ", "could not convert"),
        ("0.5*6/mean & 0.5*", "is not understood"),
    ],
)
def test_what_is_no_joined_strategy_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(LabError, match=complaint):
        parse(text)


def test_the_vector_has_length_1_and_its_cosine_is_the_weighted_mean() -> None:
    train, states = pooled_states(50), pooled_states(9, seed=1)
    strategy = parse("0.25*-1/first & 0.75*concat(0,1)/mean+ln+each.5")
    whitening = fitted(strategy, train)
    found = states.embed(strategy, whitening)
    assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-6)
    parts = [states.embed(part, whitening).vectors for part in terms(strategy)]
    expected = 0.25 * parts[0] @ parts[0].T + 0.75 * parts[1] @ parts[1].T
    assert_allclose(found.vectors @ found.vectors.T, expected, atol=1e-6)
    assert str(found.strategy) == "0.25*2/first & 0.75*concat(0,1)/mean+ln+each.5"
    assert found.fingerprint == f"abc+{whitening.fingerprint}"


def test_joining_what_is_joined_multiplies_the_weights_and_adds_up_what_is_the_same() -> None:
    inner = parse("0.5*0/mean & 0.5*1/mean")
    assert str(join([(inner, 0.4), (Strategy.parse("1/mean"), 0.6)])) == "0.2*0/mean & 0.8*1/mean"
    assert join([(Strategy.parse("1/mean"), 0.4), (Strategy.parse("1/mean"), 0.6)]) == Strategy.parse("1/mean")

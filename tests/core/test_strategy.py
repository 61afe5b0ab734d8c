import pytest
from hypothesis import given, strategies as st
from valid_strategies import LAYERS, valid

from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import DEFAULT, Reduction, Strategy


@given(valid())
def test_a_strategy_comes_back_from_its_string(strategy: Strategy) -> None:
    assert Strategy.parse(str(strategy)) == strategy


@given(LAYERS.map(sorted), st.integers(31, 40))
def test_resolving_again_changes_nothing(layers: list[int], n_states: int) -> None:
    resolved = Strategy((layers[0],), "single", "mean").resolve(n_states)
    assert resolved.resolve(n_states) == resolved
    assert 0 <= resolved.layers[0] < n_states


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        ("-1/mean", Strategy((-1,), "single", "mean")),
        ("0/first+raw", Strategy((0,), "single", "first", normalize=False)),
        ("sum(-4..-1)/mean", Strategy((-4, -3, -2, -1), "sum", "mean")),
        ("concat(0,2,6)/first", Strategy((0, 2, 6), "concat", "first")),
        ("mean(3..5,7)/max", Strategy((3, 4, 5, 7), "mean", "max")),
        ("sum( 1, 2 ) / eos", Strategy((1, 2), "sum", "eos")),
        ("sum(5)/mean", Strategy((5,), "single", "mean")),
        ("concat(6,0)/mean", Strategy((6, 0), "concat", "mean")),
        ("-1/first,mean", Strategy((-1,), "single", "first,mean")),
        ("-1/eos+head", Strategy((-1,), "single", "eos", head=True)),
        ("3/max+ln+head+raw", Strategy((3,), "single", "max", normalize=False, layer_norm=True, head=True)),
        ("3/mean+ln", Strategy((3,), "single", "mean", layer_norm=True)),
        ("3/mean+ln+raw", Strategy((3,), "single", "mean", normalize=False, layer_norm=True)),
        ("sum(2*0.3,6*1)/mean", Strategy((2, 6), "sum", "mean", weights=(0.3, 1.0))),
        ("3/mean+each.5", Strategy((3,), "single", "mean", each=0.5)),
        ("3/mean+ln+each0+white1+raw", Strategy((3,), "single", "mean", False, True, each=0.0, whiten=1.0)),
        ("3/mean+white", Strategy((3,), "single", "mean", whiten=0.9)),
        ("3/mean+white128", Strategy((3,), "single", "mean", reduced=Reduction("white", 128))),
        ("3/mean+white10+raw", Strategy((3,), "single", "mean", False, reduced=Reduction("white", 10))),
        ("3/mean+white+white64", Strategy((3,), "single", "mean", whiten=0.9, reduced=Reduction("white", 64))),
        ("3/mean+white.5+pca1", Strategy((3,), "single", "mean", whiten=0.5, reduced=Reduction("pca", 1))),
        ("-1/eos+head+first256", Strategy((-1,), "single", "eos", head=True, reduced=Reduction("first", 256))),
    ],
)
def test_a_string_names_a_strategy(text: str, strategy: Strategy) -> None:
    assert Strategy.parse(text) == strategy


@pytest.mark.parametrize(
    ("layers", "written"),
    [((1, 2), "sum(1,2)/mean"), ((1, 2, 3), "sum(1..3)/mean"), ((-2, -1, 0, 5), "sum(-2..0,5)/mean")],
)
def test_three_layers_in_a_row_are_a_range(layers: tuple[int, ...], written: str) -> None:
    assert str(Strategy(layers, "sum", "mean")) == written


@pytest.mark.parametrize(
    ("text", "layers"),
    [("-1/mean", (6,)), ("sum(-4..-1)/mean", (3, 4, 5, 6)), ("concat(-1,0)/mean", (0, 6)), ("-7/mean", (0,))],
)
def test_layers_resolve_from_zero_ascending(text: str, layers: tuple[int, ...]) -> None:
    assert Strategy.parse(text).resolve(7).layers == layers


def test_weights_follow_their_layers() -> None:
    strategy = Strategy.parse("sum(-1*0.7,0*0.1,2*1e-05)/mean")
    assert str(strategy.resolve(7)) == "sum(0*0.1,2*1e-05,6*0.7)/mean"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("last/mean", r"strategy 'last/mean' is not understood\. Write -1/mean"),
        ("", "strategy '' is not understood"),
        ("-1", "strategy '-1' is not understood"),
        ("-1/mean+sum", "is not understood"),
        ("sum(1,2)", "is not understood"),
        ("sum(1,x)/mean", r"strategy 'sum\(1,x\)/mean': 'x' is no layer and no range\. Write"),
        ("sum(4..1)/mean", r"the range 4\.\.1 runs backwards\. Write"),
        ("product(1,2)/mean", "unknown combine 'product'. Choose one of single, sum, mean, concat."),
        ("sum(1,1)/mean", r"layers \(1, 1\) must name at least one state, each once"),
        ("3/mean+raw+ln", "is not understood"),
        ("sum(1*x,2*1)/mean", r"'1\*x' is no layer and no range"),
        ("sum(1*0.5,2)/mean", r"strategy: 1 weights for sum of 2 layers\."),
        ("concat(1*0.5,2*0.5)/mean", r"2 weights for concat of 2 layers\."),
        ("single(1,2)/mean", r"single of 2 layer\(s\)\. One layer is written -1/mean"),
    ],
)
def test_a_string_that_names_no_strategy(text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        Strategy.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7/mean", "strategy 7/mean: there is no state 7; this model has 0 to 6"),
        ("-8/mean", "strategy -8/mean: there is no state -8; this model has 0 to 6"),
        ("sum(-1,6)/mean", r"strategy sum\(-1,6\)/mean names a state twice: this model's states are 0 to 6"),
    ],
)
def test_a_layer_that_the_model_lacks(text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        Strategy.parse(text).resolve(7)


def test_no_layers_and_a_combination_of_one_are_refused() -> None:
    with pytest.raises(LabError, match=r"layers \(\) must name at least one state"):
        Strategy((), "sum", "mean")
    with pytest.raises(LabError, match=r"sum of 1 layer\(s\)"):
        Strategy((1,), "sum", "mean")


def test_unscaled_changes_the_length_and_nothing_else() -> None:
    assert str(DEFAULT) == "-1/mean"
    assert str(DEFAULT.unscaled) == "-1/mean+raw"
    assert DEFAULT.unscaled.layers == DEFAULT.layers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3/mean+pca0", r"strategy: \+pca0 keeps 0 dimensions\. Keep 1 or more"),
        ("3/mean+first0", r"strategy: \+first0 keeps 0 dimensions\. Keep 1 or more"),
        ("3/mean+last5", r"is not understood.*\+pca128"),
        ("3/mean+pca4+first2", r"is not understood"),
    ],
)
def test_a_number_of_dimensions_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        Strategy.parse(text)


def test_what_is_fitted_comes_in_the_order_in_which_it_is_done() -> None:
    whole = Strategy.parse("concat(0,2)/mean+each.5+white.9+pca8+raw")
    steps = [
        "0/mean+each.5",
        "2/mean+each.5",
        "concat(0,2)/mean+each.5+white.9",
        "concat(0,2)/mean+each.5+white.9+pca8",
    ]
    assert [str(step) for step in whole.whitened] == steps
    plain = Strategy.parse("2/mean+first8")
    assert plain.whitened == []
    assert (whole.fitted, plain.fitted) == (True, False)

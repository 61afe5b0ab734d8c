"""Every strategy that can be written, drawn by hypothesis."""

from hypothesis import strategies as st

from hiddenstates.core.strategy import COMBINES, REDUCTIONS, Reduction, Strategy

LAYERS = st.lists(st.integers(-30, 30), min_size=1, max_size=12, unique=True).map(tuple)
SHRINKAGE = st.none() | st.floats(0, 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def valid(draw: st.DrawFn) -> Strategy:
    layers = draw(LAYERS)
    combine = "single" if len(layers) == 1 else draw(st.sampled_from([c for c in COMBINES if c != "single"]))
    weights = st.lists(NUMBERS, min_size=len(layers), max_size=len(layers)).map(tuple)
    return Strategy(
        layers,
        combine,
        draw(st.from_regex("[a-z]+(,[a-z]+)?", fullmatch=True)),
        normalize=draw(st.booleans()),
        layer_norm=draw(st.booleans()),
        head=draw(st.booleans()),
        weights=draw(weights | st.just(())) if combine == "sum" else (),
        each=draw(SHRINKAGE),
        whiten=draw(SHRINKAGE),
        reduced=draw(st.none() | st.builds(Reduction, st.sampled_from(REDUCTIONS), st.integers(2, 99_999))),
    )

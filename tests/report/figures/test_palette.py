"""Whether every eye can see the figures' colours, and tell them apart."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from hiddenstates.report.figures.charts import COLOURS
from hiddenstates.report.figures.style import ACCENT, BLUE, INK, PALETTE, QUIET, SHADES, TINTS, contrast, on

Rows = Float[np.ndarray, "colour 3"]
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""On linear RGB, at full severity (Machado, Oliveira & Fernandes 2009, table 1)."""
CONFUSED = {
    "protanopia": ["#c8553d", "#6e6a2e"],
    "deuteranopia": ["#c8553d", "#8c7a2e"],
    "tritanopia": ["#3a7bd5", "#2f8f8a"],
}
"""Two that this eye can hardly tell apart."""
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colours: Sequence[str]) -> Rows:
    rgb = np.array([to_rgb(colour) for colour in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(light: Rows) -> Rows:
    """CIELAB of linear RGB, in which a distance of 2.3 is just seen."""
    x, y, z = np.cbrt((light @ TO_XYZ.T / TO_XYZ.sum(1)).clip(0.008856)).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def nearest(colours: Sequence[str], deficiency: str) -> float:
    """The distance of the two that are hardest to tell apart."""
    seen = lab((linear(colours) @ DEFICIENCIES[deficiency].T).clip(0, 1))
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


@pytest.mark.parametrize("deficiency", CONFUSED)
def test_the_simulation_leaves_grey_alone_and_brings_what_is_confused_together(deficiency: str) -> None:
    grey, pair = linear(["#808080"]), CONFUSED[deficiency]
    assert grey @ DEFICIENCIES[deficiency].T == pytest.approx(grey, abs=1e-3)
    assert nearest(pair, deficiency) < nearest(pair, "none") / 1.5


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("colours", [PALETTE, tuple(COLOURS.values()), (ACCENT, BLUE)], ids=str)
def test_colours_are_told_apart_by_every_eye(colours: tuple[str, ...], deficiency: str) -> None:
    assert nearest(colours, deficiency) > 20


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_grounds_are_told_apart_by_every_eye(deficiency: str) -> None:
    assert nearest(TINTS, deficiency) > 10  # each with its letter on it


CONTRASTS = [
    *(
        (name, colour, "white", 4.5)
        for name, colour in {"ink": INK, "accent": ACCENT, "blue": BLUE, "quiet": QUIET}.items()
    ),
    *((f"series {i}", colour, "white", 3.0) for i, colour in enumerate(PALETTE)),
    *((f"a letter on ground {i}", INK, ground, 4.5) for i, ground in enumerate(TINTS)),
]
"""What is drawn, on what, and the contrast that it needs: 4.5 to be read, 3 to be seen (WCAG 2.2)."""


@pytest.mark.parametrize(("what", "colour", "ground", "least"), CONTRASTS, ids=str)
def test_everything_stands_out_from_its_ground(what: str, colour: str, ground: str, least: float) -> None:
    assert contrast(colour, ground) >= least, what


def test_contrast_is_that_of_the_standard() -> None:
    assert (contrast("black"), contrast("white")) == (21.0, 1.0)
    assert contrast("#777777") == pytest.approx(4.48, abs=0.01)  # the grey that just fails
    assert contrast("#e69f00") < 3  # Okabe & Ito's orange


def test_numbers_are_read_on_every_shade() -> None:
    shades = [(r, g, b) for r, g, b, _ in colormaps[SHADES](np.linspace(0, 1, 64))]
    assert min(contrast(on(shade), shade) for shade in shades) >= 4.5
    assert {on(shades[0]), on(shades[-1])} == {"black", "white"}

"""Whether who sees no green (deuteranopia, the commonest deficiency) can tell the figures' colours apart."""

from itertools import combinations

import numpy as np
import pytest
from jaxtyping import Float
from matplotlib.colors import to_rgb

from hiddenstates.report.figures.charts import COLOURS
from hiddenstates.report.figures.style import ACCENT, BLUE, PALETTE, TINTS

Rows = Float[np.ndarray, "colour 3"]
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
"""On linear RGB, at full severity (Machado et al. 2009)."""
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colours: list[str]) -> Rows:
    rgb = np.array([to_rgb(colour) for colour in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(light: Rows) -> Rows:
    """CIELAB of linear RGB, in which a distance of 2.3 is just seen."""
    x, y, z = np.cbrt((light @ TO_XYZ.T / TO_XYZ.sum(1)).clip(0.008856)).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def nearest(colours: list[str]) -> float:
    """The distance of the two that are hardest to tell apart."""
    seen = lab((linear(colours) @ DEUTERANOPIA.T).clip(0, 1))
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


def test_the_simulation_leaves_grey_alone_and_confuses_red_with_green() -> None:
    assert linear(["#808080"]) @ DEUTERANOPIA.T == pytest.approx(linear(["#808080"]), abs=1e-3)
    assert nearest(["#c8553d", "#8c7a2e"]) < 20 < np.linalg.norm(np.subtract(*lab(linear(["#c8553d", "#8c7a2e"]))))


@pytest.mark.parametrize("colours", [PALETTE, tuple(COLOURS.values()), (ACCENT, BLUE)], ids=str)
def test_colours_are_told_apart_without_green(colours: tuple[str, ...]) -> None:
    assert nearest(list(colours)) > 15


def test_grounds_are_told_apart_without_green() -> None:
    assert nearest(list(TINTS)) > 10  # each with its letter on it

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hiddenstates.report import figures
from hiddenstates.report.gallery import Case, Found

GRID = pd.DataFrame([[0.1, 0.9], [0.5, 0.2]], index=["0", "1"], columns=["first", "mean"])
GAINS = pd.DataFrame(
    {"difference": [0.1, -0.1], "low": [0.05, -0.3], "high": [0.15, 0.1], "p": [0.01, 0.4]}
    | {"verdict": ["worse", "undecided"]},
    index=["a", "b"],
)


TOPS = {"named": pd.Series([0.9, 0.8], index=["concat(0,2)/mean+ln", "2/max"])}
STEPS = pd.DataFrame(
    {"dev": [0.5, 0.6], "test": [0.4, 0.6]}, index=pd.MultiIndex.from_product([["named"], ["default", "chosen"]])
)
POINTS = pd.DataFrame({"dev": [0.5, 0.6], "test": [0.4, 0.6]}, index=["2/mean", "1/max"])
SEEN, CELLS = {"CH": np.random.default_rng(0).random((8, 8, 3))}, np.arange(16.0).reshape(4, 4) / 16
LETTERS = pd.DataFrame({"made": ["A", "B"], "reloaded": ["A", "B?"]}, index=["encoder", "decoder"])
FACTORIES = pd.DataFrame(
    {"recall": [1.0, 0.9], "megabytes": [6.0, 1.5], "compared": [4000.0, 500.0]}, index=["Flat", "SQ8"]
)
ESTIMATES = {"a": GAINS.rename(columns={"difference": "value"}), "b": GAINS.rename(columns={"difference": "value"})}


def flag(folder: Path) -> Path:
    Image.new("P", (16, 11), 3).save(folder / "flag.gif")
    return folder / "flag.gif"


def case(folder: Path) -> Case:
    found = [
        Found("Japan", "Tokyo is the capital of Japan.", flag(folder), True),
        Found("Tokyo", "A city.", None, False),
    ]
    return Case("What is the capital of the country with this flag?", flag(folder), found, 1)


SERVED = pd.DataFrame(
    {
        "layers": [0, 1, 2],
        "bytes": [64, 512, 1536],
        "difference": [-0.1, -0.01, np.nan],
        "low": [-0.2, -0.03, np.nan],
        "high": [-0.05, 0.01, np.nan],
        "verdict": ["worse", "undecided", np.nan],
    },
    index=["0/mean+pca16", "1/mean", "2/mean"],
)
DRAWN: dict[str, Callable[[Path], Figure]] = {
    "heatmaps": lambda _: figures.heatmaps({"a": GRID, "b": GRID, "c": GRID, "d": 0 * GRID}, "mrr@10", "state", "pool"),
    "differences": lambda _: figures.differences(GAINS, "mrr@10", "the default"),
    "lines": lambda _: figures.lines(GRID.set_axis([0, 1]), "state", "length"),
    "spread": lambda _: figures.spread(np.arange(12.0).reshape(4, 3), "neighbour", "cosine"),
    "members": lambda _: figures.members(TOPS, 3, "mrr@10"),
    "steps": lambda _: figures.steps(STEPS, "mrr@10"),
    "scatter": lambda _: figures.scatter(POINTS, {"chosen": "1/max", "default": "2/mean"}, "mrr@10"),
    "estimates": lambda _: figures.estimates(ESTIMATES, "F1", "state"),
    "bars": lambda _: figures.bars(GRID, "passages"),
    "lettered": lambda _: figures.lettered({"T5": LETTERS, "BART": LETTERS.rename({"decoder": "head"})}, "tensor"),
    "overlays": lambda _: figures.overlays(SEEN, {"CH": {"attention": CELLS, "cosine": -CELLS}}, "a number a box"),
    "frontiers": lambda _: figures.frontiers(FACTORIES, "recall", ["megabytes", "compared"], 0.95),
    "served": lambda _: figures.served(SERVED, "mrr@10", "2/mean", "1/mean", 0.01),
    "gallery": lambda folder: figures.gallery([case(folder)]),
    "pictures": lambda folder: figures.pictures({"CH": [flag(folder)], "FR": [flag(folder), flag(folder)]}),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_figure_is_the_same_bytes_each_time(tmp_path: Path, draw: Callable[[Path], Figure]) -> None:
    for name in ("a.png", "b.png"):
        figures.publish(draw(tmp_path), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == figures.WIDTH * 120
        assert len(picture.getcolors(2**24) or []) > 10  # something is drawn
        assert "Software" not in picture.info


def test_every_kind_of_figure_is_drawn_here() -> None:
    kinds = {n for n, f in vars(figures).items() if getattr(f, "__annotations__", {}).get("return") is Figure}
    assert kinds == set(DRAWN)


def test_a_heat_map_frames_its_best_cell_if_asked_and_hides_what_is_left_over() -> None:
    tables = dict.fromkeys("abcd", GRID)
    axes = figures.heatmaps(tables, "mrr@10", "state", "pool", frame_best=True).axes
    (frame,) = axes[0].patches
    assert frame.get_xy() == (0.5, -0.5)  # column 1, row 0
    assert [text.get_text() for text in axes[0].texts] == [".10", ".90", ".50", ".20"]
    assert [ax.axison for ax in axes] == [True] * 4 + [False] * 2
    assert not any(ax.patches for ax in figures.heatmaps(tables, "mrr@10", "state", "pool").axes)


def test_letters_stand_in_the_rows_of_all_panels_and_a_mark_is_red() -> None:
    left, right = figures.lettered({"T5": LETTERS, "BART": LETTERS.rename({"decoder": "head"})}, "tensor").axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["encoder", "decoder", "head"]
    assert [text.get_text() for text in right.texts] == ["A", "A", "", "", "B", "B?"]
    assert [text.get_text() for text in left.texts if text.get_color() == figures.ACCENT] == ["B?"]


def test_differences_read_from_top_to_bottom_and_red_is_real() -> None:
    (ax,) = figures.differences(GAINS, "mrr@10", "the default").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a"]  # matplotlib counts from below
    colors = {line.get_color() for line in ax.lines if list(line.get_ydata()) == [1, 1]}
    assert colors == {figures.ACCENT}


def test_the_notebook_shows_what_was_written(tmp_path: Path) -> None:
    shown = figures.publish(DRAWN["bars"](tmp_path), tmp_path / "bars.png")
    assert shown.data == (tmp_path / "bars.png").read_bytes()


def test_every_row_of_every_heat_map_is_in_sight() -> None:
    tables = {str(n): pd.DataFrame(np.eye(n)) for n in (3, 7, 2)}
    drawn = figures.heatmaps(tables, "", "", "")
    assert [sorted(ax.get_ylim()) for ax in drawn.axes] == [[-0.5, n - 0.5] for n in (3, 7, 2)]


def test_numbers_lie_in_their_boxes_until_they_are_too_many_to_read() -> None:
    picture, ax = figures.overlays(SEEN, {"CH": {"cosine": CELLS}}, "").axes
    assert [image.get_extent() for image in (*picture.images, *ax.images)] == [[0, 4, 4, 0]] * 3
    assert {text.get_position(): text.get_text() for text in ax.texts}[1.5, 0.5] == ".06"  # row 0, column 1: 1 / 16
    assert not figures.overlays(SEEN, {"CH": {"cosine": np.zeros((9, 9))}}, "").axes[1].texts


def test_lines_have_logarithmic_axes_if_asked() -> None:
    (ax,) = figures.lines(GRID.set_axis([1, 10]), "reads", "seconds", log=True).axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")

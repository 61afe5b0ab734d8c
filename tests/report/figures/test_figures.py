from collections.abc import Callable
from itertools import pairwise
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
    "facets": lambda _: figures.facets(ESTIMATES, "F1"),
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


def test_heat_maps_of_one_measure_share_a_scale_that_a_bar_tells_and_what_is_left_over_is_hidden() -> None:
    tables = {"a": GRID, "b": GRID / 10, "c": GRID, "d": 0 * GRID}
    *panels, bar = figures.heatmaps(tables, "mrr@10", "state", "pool").axes
    assert [text.get_text() for text in panels[0].texts] == [".10", ".90", ".50", ".20"]
    assert [ax.axison for ax in panels] == [True] * 4 + [False] * 2
    assert {ax.images[0].get_clim() for ax in panels[:4]} == {(0, 0.9)}
    assert bar.get_ylabel() == "mrr@10"
    assert not any(ax.patches for ax in panels)  # no frame: nothing here is told apart


def test_what_is_written_as_nothing_is_as_pale_as_nothing() -> None:
    pale, dark = (figures.heatmaps({"a": GRID * 0 + top}, "share", "", "").axes[0] for top in (4e-3, 6e-3))
    assert [ax.images[0].get_clim()[1] for ax in (pale, dark)] == [1, 6e-3]
    assert {text.get_text() for text in pale.texts} == {".00"}


def test_heat_maps_of_two_measures_have_two_scales() -> None:
    left, right, *bars = figures.heatmaps({"a": GRID, "b": 10 * GRID}, {"a": "share", "b": "pieces"}, "", "").axes
    assert [ax.images[0].get_clim() for ax in (left, right)] == [(0, 0.9), (0, 9)]
    assert [bar.get_ylabel() for bar in bars] == ["share", "pieces"]


@pytest.mark.parametrize(("panels", "across", "value", "shown"), [(2, 16, 1, 32), (3, 13, 0.25, 0), (3, 7, 0.25, 21)])
def test_numbers_of_a_heat_map_never_overlap(panels: int, across: int, value: float, shown: int) -> None:
    tables = {str(n): pd.DataFrame(np.full((1, across), value)) for n in range(panels)}
    drawn = figures.heatmaps(tables, "1 where it changes", "state", "position")
    drawn.draw_without_rendering()
    texts = [text for ax in drawn.axes for text in ax.texts]
    boxes = sorted(text.get_window_extent().extents[[0, 2]].tolist() for text in texts)
    assert [text.get_text() for text in texts] == ["1" if value == 1 else ".25"] * shown
    assert all(end < start for (_, end), (start, _) in pairwise(boxes))


@pytest.mark.parametrize("unit", ["share", {"0": "pieces", "1": "share"}])
def test_long_names_of_columns_are_turned_before_they_overlap(unit: str | dict[str, str]) -> None:
    long = pd.DataFrame(np.eye(6), columns=[*"abc", "unigram", "byte_bpe", "clip_bpe"])
    left, right, *_ = figures.heatmaps({"0": long, "1": long}, unit, "script", "tokenizer").axes
    assert {label.get_rotation() for ax in (left, right) for label in ax.get_xticklabels()} == {35}
    (short, *_) = figures.heatmaps({"0": long.set_axis(list("abcdef"), axis=1)}, "share", "", "").axes
    assert {label.get_rotation() for label in short.get_xticklabels()} == {0}


@pytest.mark.parametrize("across", [5, 60, 512])
@pytest.mark.parametrize("named", ["{}", "token {}"])
def test_names_of_many_columns_are_thinned_before_they_overlap(across: int, named: str) -> None:
    names = [named.format(i) for i in range(across)]
    table = pd.DataFrame(np.zeros((2, across)), columns=names)
    drawn = figures.heatmaps({"a": table, "b": table}, "share", "script", "position")
    drawn.draw_without_rendering()
    for ax in drawn.axes[:2]:
        labels = ax.get_xticklabels()
        assert [label.get_text() for label in labels] == [names[round(at)] for at in ax.get_xticks()]
        assert ax.get_xticks()[0] == 0
        if labels[0].get_rotation():  # by 35 degrees: lines of text that lie beside each other
            starts = [label.get_transform().transform(label.get_position())[0] for label in labels]
            assert np.diff(starts).min() * np.sin(np.deg2rad(35)) >= 9 * drawn.dpi / 72
        else:
            boxes = [label.get_window_extent().extents[[0, 2]] for label in labels]
            assert all(end < start for (_, end), (start, _) in pairwise(boxes))


@pytest.mark.parametrize("rows", [1, 2, 3, 9])
def test_the_name_of_a_scale_has_room_beside_any_number_of_rows(rows: int) -> None:
    drawn = figures.heatmaps({"a": GRID.iloc[[0] * rows]}, "share of the script's names", "tokenizer", "script")
    drawn.draw_without_rendering()
    label = drawn.axes[-1].yaxis.label
    assert label.get_text().split() == ["share", "of", "the", "script's", "names"]
    low, high = label.get_window_extent().extents[[1, 3]]
    assert 0 <= low < high <= drawn.bbox.height


def test_a_dot_has_the_area_of_its_weight() -> None:
    tops = {"named": pd.Series({"sum(0*0.03,1*-0.12,2*0.6)/mean": 0.9, "concat(0,2)/mean": 0.8})}
    (ax,) = figures.members(tops, 3, "mrr@10").axes
    weighted, plain = (dots for dots in ax.collections if dots.get_zorder() == 2)
    assert list(weighted.get_sizes() / weighted.get_sizes().max()) == pytest.approx([0.05, 0.2, 1])
    assert [tuple(face[:3]) == (1, 1, 1) for face in weighted.get_facecolors()] == [False, True, False]  # below 0
    assert len(set(plain.get_sizes())) == 1


def test_no_line_joins_categories_and_all_panels_have_one_scale() -> None:
    far = pd.concat([STEPS, STEPS.rename({"named": "visual"}) / 20])
    axes = figures.steps(far, "mrr@10").axes
    assert {line.get_linestyle() for ax in axes for line in ax.lines} == {"None"}
    assert len({ax.get_xlim() for ax in axes}) == 1
    assert [list(line.get_xdata()) for line in axes[0].lines] == [[0.5, 0.6], [0.4, 0.6]]


def test_a_legend_is_only_where_there_is_something_to_tell_apart() -> None:
    def legends(one: pd.DataFrame, series: dict[str, pd.DataFrame]) -> list[bool]:
        drawn = [figures.bars(one, "x"), figures.estimates(series, "F1", ""), figures.lines(one, "x", "y")]
        return [figure.axes[0].get_legend() is not None for figure in drawn]

    numbered = GRID.set_axis([0, 1])
    assert legends(numbered[["first"]], {"a": ESTIMATES["a"]}) == [False] * 3
    assert legends(numbered, ESTIMATES) == [True] * 3


def test_the_total_of_the_longest_bar_is_inside() -> None:
    figure = figures.bars(pd.DataFrame({"passages": [2000, 160]}, index=["city", "capital"]), "passages")
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert max(text.get_window_extent().x1 for text in ax.texts) <= ax.get_window_extent().x1


def test_facets_name_every_row_and_head_every_panel() -> None:
    tables = {"dev": ESTIMATES["a"], "held out": ESTIMATES["a"].iloc[::-1]}
    left, right = figures.facets(tables, "mrr@10").axes
    assert [left.get_title(), right.get_title()] == ["dev", "held out"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["b", "a"]  # matplotlib counts from below
    for ax in (left, right):  # rows are found by name, whatever their order
        assert list(zip(ax.lines[0].get_ydata(), ax.lines[0].get_xdata(), strict=True)) == [(1, 0.1), (0, -0.1)]
    assert left.get_xlim() == right.get_xlim()


def test_letters_stand_in_the_rows_of_all_panels_and_a_mark_is_red() -> None:
    left, right = figures.lettered({"T5": LETTERS, "BART": LETTERS.rename({"decoder": "head"})}, "tensor").axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["encoder", "decoder", "head"]
    assert [text.get_text() for text in right.texts] == ["A", "A", "", "", "B", "B?"]
    assert [text.get_text() for text in left.texts if text.get_color() == figures.ACCENT] == ["B?"]
    (image,) = left.images
    shared, own = image.to_rgba(image.get_array())[[0, 1], 0, :3]
    assert shared.argmax() == 2  # what all share is blue: red is for what is wrong
    assert own.argmax() != 2


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
    assert [sorted(ax.get_ylim()) for ax in drawn.axes[:3]] == [[-0.5, n - 0.5] for n in (3, 7, 2)]


def test_numbers_lie_in_their_boxes_until_they_are_too_many_to_read() -> None:
    picture, ax = figures.overlays(SEEN, {"CH": {"cosine": CELLS}}, "").axes
    assert [image.get_extent() for image in (*picture.images, *ax.images)] == [[0, 4, 4, 0]] * 3
    assert {text.get_position(): text.get_text() for text in ax.texts}[1.5, 0.5] == ".06"  # row 0, column 1: 1 / 16
    assert not figures.overlays(SEEN, {"CH": {"cosine": np.zeros((9, 9))}}, "").axes[1].texts


def test_lines_have_logarithmic_axes_if_asked() -> None:
    (ax,) = figures.lines(GRID.set_axis([1, 10]), "reads", "seconds", log=True).axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")

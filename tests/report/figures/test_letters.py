"""Names in every script, in figures whose font has not all of them."""

import warnings
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.text import Text

from hiddenstates.report import figures
from hiddenstates.report.figures.letters import readable

NAMES = {
    "Paris, Αθήνα, Москва ✓": "Paris, Αθήνα, Москва ✓",  # the font has them
    "東京, Japan": "‹DongJing›, Japan",
    "서울": "‹SeoUl›",
    "القاهرة (Cairo)": "‹lqhrh› (Cairo)",  # it has these, but would draw them apart and from left to right
    "กรุงเทพ": "‹krungethph›",
    "\U000f0000": "‹?›",
}


@pytest.mark.parametrize(("name", "shown"), NAMES.items())
def test_what_cannot_be_drawn_is_transliterated(name: str, shown: str) -> None:
    assert readable(name) == shown
    assert readable(shown) == shown


def test_no_figure_has_a_box_in_place_of_a_letter(tmp_path: Path) -> None:
    rows = pd.DataFrame({"value": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.2, 0.3]}, index=["東京", "กรุงเทพ"])
    drawn = [
        figures.estimates({"서울": rows, "मुंबई": rows}, "القاهرة", "北京"),
        figures.heatmaps({"東京": rows.rename(columns={"low": "서울"})}, "北京", "กรุงเทพ", "תל אביב"),
        figures.bars(rows.rename(columns={"low": "서울"}), "北京"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i, figure in enumerate(drawn):
            figures.publish(figure, tmp_path / f"{i}.png")
    ticks = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert ticks == ["‹krungethph›", "‹DongJing›"]  # from below
    assert {"‹SeoUl›", "‹BeiJing›"} <= {text.get_text() for text in drawn[0].findobj(Text)}

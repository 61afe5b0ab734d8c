from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.report import figures
from hiddenstates.report.gallery import Case, cases, pick


def test_half_are_right_and_half_are_wrong_evenly_taken() -> None:
    values = pd.Series([1.0, 0.0, 1.0, 0.5, 0.0, 1.0, 1.0], index=list("abcdefg"))
    assert pick(values, 4) == ["a", "f", "b", "e"]  # of a c f g the first and the third
    assert pick(values, 3) == ["a", "f", "b"]
    assert pick(values, 99) == ["a", "c", "f", "g", "b", "e"]


def test_where_nothing_is_right_the_wrong_ones_are_shown_once() -> None:
    assert pick(pd.Series([0.0, 0.0], index=["a", "b"]), 4) == ["a", "b"]


def shown(folder: Path) -> list[Case]:
    """One question, and three passages of which the second is right and the last has no image."""
    Image.new("RGB", (8, 8), "red").save(folder / "view.png")
    Image.new("RGB", (16, 11), "white").save(folder / "jp.png")
    text = "Prices are given in the Japanese Yen, a currency of no little fame. " * 4
    rows = [{"id": "a", "title": "China", "text": text, "image": "jp.png"}]
    rows += [
        {"id": "b", "title": "Japan", "text": text, "image": "jp.png"},
        {"id": "c", "title": "Tokyo", "text": "T."},
    ]
    question = {"id": "q", "text": "How does one pay in the country with this flag?", "image": "view.png"}
    kb = KnowledgeBase(table(rows, PASSAGE_COLUMNS), folder, "test")
    task = Task(kb, table([question], QUERY_COLUMNS), Qrels({"q": {"b": 1.0}}))
    return cases(Run({"q": {"c": 0.1, "a": 0.9, "b": 0.5}}), task, ["q"], top=3)


def test_a_case_holds_the_first_passages_and_which_are_right(tmp_path: Path) -> None:
    (case,) = shown(tmp_path)
    assert [(found.title, found.right) for found in case.found] == [("China", False), ("Japan", True), ("Tokyo", False)]
    assert (case.rank, case.image, case.found[2].image) == (2, tmp_path / "view.png", None)


def test_words_are_wrapped_marked_and_stay_on_the_page(tmp_path: Path) -> None:
    figure = figures.gallery(shown(tmp_path))
    words = [text.get_text() for text in figure.texts]
    assert words[0] == "How does one pay in the\ncountry with this flag?"
    assert [word for word in words if word[0] in "✓✗"] == ["✗ wrong  China", "✓ right  Japan", "✗ wrong  Tokyo"]
    assert "a right passage: rank 2" in words
    renderer = FigureCanvasAgg(figure).get_renderer()
    assert max(text.get_window_extent(renderer).x1 for text in figure.texts) <= figure.bbox.x1
    assert len(figure.axes) == 3  # the view and two flags


def test_no_question_is_refused() -> None:
    with pytest.raises(LabError, match="there is no question to show"):
        figures.gallery([])

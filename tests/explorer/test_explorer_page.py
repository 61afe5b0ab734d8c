"""The explorer's map, the line that holds the page, its examples, and the row that opens, without a browser."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from exploring import explorer_in, pooled, ranked
from tiny import save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import Fused
from hiddenstates.core.relevance import Qrels
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.explorer import spots
from hiddenstates.explorer.encoders import EncoderView
from hiddenstates.explorer.examples import example_questions
from hiddenstates.explorer.map import colours_of, mapped
from hiddenstates.explorer.plane import nearest, plane_of
from hiddenstates.explorer.search import Explorer, Question
from hiddenstates.explorer.spots import spots_of
from hiddenstates.explorer.state import PageState
from hiddenstates.explorer.view import ExplorerView
from hiddenstates.report.figures.style import PALETTE

LAST_MEAN = Strategy.parse("3/mean")


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    return explorer_in(tmp_path_factory.mktemp("explorer"))


@pytest.fixture
def view(explorer: Explorer) -> ExplorerView:
    return ExplorerView(explorer, "tiny")


def opened(view: ExplorerView) -> list[str]:
    """The passages below whose rows stands why they are there."""
    return [row.passage for row in view.findings.ranking.rows if row.why.value]


def test_a_row_opens_follows_what_is_changed_and_closes(view: ExplorerView) -> None:
    rows = view.findings.ranking.rows
    assert opened(view) == []
    rows[1].button.click()
    second = rows[1].passage
    assert opened(view) == [second]
    assert rows[1].button.description == "close"
    before = rows[1].why.value
    view.strategy.typed.value = "0.5*(2/mean) & 0.5*bm25"
    assert opened(view) == [second]
    (now,) = (row.why.value for row in rows if row.passage == second)
    assert now != before
    assert "bm25: a word that stands several times" in now
    rows[0].button.click()  # one at a time
    assert opened(view) == [rows[0].passage]
    rows[0].button.click()
    assert opened(view) == []
    assert {row.button.description for row in rows} == {"why?"}


def test_what_closes_when_its_passage_is_gone(explorer: Explorer) -> None:
    view = ExplorerView(explorer)
    view.findings.shown = 1
    view.rank()
    view.findings.ranking.rows[0].button.click()
    best = opened(view)
    view.question.text.value = "bern the city of the river"
    assert view.findings.ranking.rows[0].passage != best[0]
    assert opened(view) == []
    assert view.findings.ranking.opened == ""


def line(**changes: object) -> str:
    start = {"explorer": 1, "encoder": "tiny", "question": "rome", "strategy": "0/mean", "against": "3/mean"}
    return json.dumps(start | changes)


def test_the_line_always_says_what_the_page_shows(view: ExplorerView) -> None:
    assert json.loads(view.state.value) == {
        "explorer": 1, "encoder": "tiny", "question": "the capital of italy", "strategy": "3/mean",
        "against": "3/mean",
    }  # fmt: skip
    view.question.example.value = "visual: the flag"
    view.question.weight.value = 0.35
    view.strategy.layers[1].value = True
    view.strategy.against.value = "bm25"
    view.findings.grid.shown.value = view.findings.map.shown.value = True
    view.findings.ranking.rows[2].button.click()
    assert PageState.parse(view.state.value) == PageState(
        explorer=1,
        encoder="tiny",
        question="the flag",
        image="France, view 4",
        weight=0.35,
        strategy="sum(1,3)/mean",
        against="bm25",
        open=["grid", "map"],
        why=view.findings.ranking.rows[2].passage,
    )


def test_a_line_of_another_page_shows_the_same_here(view: ExplorerView, explorer: Explorer) -> None:
    view.question.example.value = "visual: the flag"
    view.question.weight.value = 0.35
    view.strategy.typed.value = "concat(0,2)/first+ln"
    view.findings.grid.shown.value = view.findings.map.shown.value = True
    view.findings.ranking.rows[1].button.click()
    other = ExplorerView(explorer, "tiny")
    assert ranked(other) != ranked(view)
    other.state.value = f"  {view.state.value}\n"
    assert other.message.value == ""
    assert other.state.value == view.state.value
    assert ranked(other) == ranked(view)
    assert other.question.example.value == "visual: the flag"
    assert other.findings.grid.curves.value == view.findings.grid.curves.value != ""
    assert other.findings.map.drawn.value == view.findings.map.drawn.value != ""
    assert opened(other) == opened(view) != []
    assert [button.value for button in other.strategy.layers] == [True, False, True, False]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("6/mean", "state: Invalid JSON"),
        (line(explorer=2), "state: explorer: input should be 1. Copy the whole line of a page of this version (1)"),
        (line(strateg="0/mean"), "state: strateg: extra inputs are not permitted"),
        (line(strategy="9/mean"), "there is no state 9; this model has 0 to 3"),
        (line(against="3/max"), "only first, mean were pooled"),
        (line(question=" "), "There is no question"),
        (line(image="a photograph"), "state: there is no image &#x27;a photograph&#x27; here. Upload it"),
        (line(weight=2), "state: weight: input should be less than or equal to 1"),
        (line(shown=0), "state: shown: input should be greater than or equal to 1"),
        (line(open=["door"]), "state: open.0: input should be &#x27;grid&#x27; or &#x27;map&#x27;"),
        (line(why="<i>"), "state: the passage &#x27;&lt;i&gt;&#x27; of `why` is not among those shown"),
        (line(encoder="other"), "state: it is of the encoder &#x27;other&#x27;, which is not here"),
    ],
)
def test_a_wrong_line_is_told_and_changes_nothing(wrong: str, said: str, view: ExplorerView) -> None:
    view.findings.ranking.rows[0].button.click()
    before = view.state.value, ranked(view), opened(view), view.question.text.value
    view.state.value = wrong
    assert said in view.refused.value  # where it was written
    assert view.message.value == ""
    assert (view.state.value, ranked(view), opened(view), view.question.text.value) == before
    view.state.value = line()
    assert view.refused.value == ""
    assert (view.question.text.value, view.strategy.typed.value) == ("rome", "0/mean")


def test_a_line_of_another_encoder_opens_it(explorer: Explorer, tmp_path: Path) -> None:
    small = load_encoder(str(save_tiny(tmp_path / "small", num_hidden_layers=2)))
    explorers: Mapping[str, Explorer] = {"tiny": explorer}
    explorers |= {"small": Explorer(explorer.task, pooled(small, explorer.task), small)}

    def of(name: str) -> Explorer:
        if name not in explorers:
            raise LabError("explorer: gone.")
        return explorers[name]

    view = EncoderView(["tiny", "small", "gone"], of)
    for encoder, written, said in (
        ("small", "3/mean", "there is no state 3; this model has 0 to 2"),
        ("gone", "1/mean", "explorer: gone."),
        ("else", "1/mean", "it is of the encoder &#x27;else&#x27;, which is not here"),
    ):
        (first,) = view.place.children
        state_of(first).value = line(encoder=encoder, strategy=written, against="2/mean")
        assert view.place.children == (first,)
        assert said in "".join(child.value for child in first.children if isinstance(getattr(child, "value", 0), str))
        assert view.encoder.value == "tiny"
    state_of(first).value = line(encoder="small", strategy="1/mean", against="2/mean")
    (second,) = view.place.children
    assert view.encoder.value == "small"
    assert json.loads(state_of(second).value)["strategy"] == "1/mean"
    state_of(second).value = line()
    assert view.encoder.value == "tiny"


def state_of(box: object) -> object:
    return box.children[-2]


def test_more_passages_are_shown_a_few_at_a_time(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hiddenstates.explorer.findings.SHOWN", 2)
    view = ExplorerView(explorer)
    assert len(view.findings.ranking.box.children) == 1 + 2
    assert view.findings.more.layout.display is None
    view.findings.more.click()
    assert len(view.findings.ranking.box.children) == 1 + 4
    assert view.findings.more.layout.display == "none"  # these are all
    assert json.loads(view.state.value)["shown"] == 4


def test_typing_a_question_clears_the_example_and_an_example_the_image(view: ExplorerView) -> None:
    assert view.question.example.value == "named: the capital of italy"
    view.question.text.value = "bern"
    assert view.question.example.label == "…"
    view.question.text.value = "the capital of italy"
    assert view.question.example.value == "named: the capital of italy"
    view.question.example.value = "visual: the flag"
    view.question.text.value = "rome"  # a question of one's own, about the image of the example
    assert (view.question.example.label, view.question.image.label) == ("…", "France, view 4")
    view.question.example.value = "named: the capital of italy"
    assert view.question.image.label == "none"
    assert view.question.seen.value == ""


def questions(sets: Mapping[str, list[tuple[str, str]]]) -> Task:
    """A task of these questions: set -> (entity, split) of each."""
    rows = [
        {"id": f"{name}{i}", "set": name, "split": split, "text": f"{name} {i}", "entity": entity}
        for name, asked in sets.items()
        for i, (entity, split) in enumerate(asked)
    ]
    passages = table([{"id": "p", "text": "rome"}], PASSAGE_COLUMNS)
    return Task(KnowledgeBase(passages, Path(), "t"), table(rows, QUERY_COLUMNS), Qrels({}))


def test_examples_are_of_entities_that_stand_far_apart() -> None:
    entities = [(f"e{i // 4}", "dev" if i % 4 == 0 else "test") for i in range(40)]
    found = list(example_questions(questions({"a": entities, "b": entities}), each=3))
    assert found == ["a: a 1", "a: a 13", "a: a 25", "b: b 5", "b: b 21", "b: b 33"]


def test_examples_without_entities_or_test_questions() -> None:
    found = list(example_questions(questions({"a": [("", "test")] * 9, "b": [("e", "dev")] * 2}), each=3))
    assert found == ["a: a 0", "a: a 3", "a: a 6", "b: b 0", "b: b 1"]
    assert example_questions(questions({})) == {}


def test_a_plane_keeps_what_lies_in_a_plane() -> None:
    random = np.random.default_rng(0)
    flat = (random.standard_normal((300, 2)) * [3, 1]) @ np.linalg.qr(random.standard_normal((20, 2)))[0].T
    plane = plane_of(flat.astype(np.float32))
    assert list(plane.rows) == list(range(300))
    assert sum(plane.shares) == pytest.approx(1)
    assert plane.shares[0] == pytest.approx(0.9, abs=0.03)
    assert plane.kept == 1.0
    assert plane.project(flat[:2].astype(np.float32)) == pytest.approx(plane.places[:2], abs=1e-4)


def test_a_ball_is_not_kept_and_the_share_is_what_chance_gives() -> None:
    ball = np.random.default_rng(0).standard_normal((500, 200)).astype(np.float32)
    plane = plane_of(ball)
    assert sum(plane.shares) < 0.03
    assert plane.kept < 0.06


def test_passages_are_drawn_by_a_seed() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    one, same = plane_of(vectors, drawn=20), plane_of(vectors, drawn=20)
    assert list(one.rows) == list(same.rows) == sorted(set(one.rows))
    assert len(one.rows) == 20
    assert (one.places == same.places).all()
    assert list(plane_of(vectors, drawn=20, seed=1).rows) != list(one.rows)
    assert plane_of(vectors[:5]).of == 4  # nearest ones, where there are no ten others


def test_neighbours_are_the_nearest_others() -> None:
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert nearest(line, np.array([0, 3]), 2).tolist() == [[False, True, True, False], [False, True, True, False]]


@pytest.mark.parametrize("vectors", [np.ones((9, 4)), np.eye(2), np.arange(5.0)[:, None]], ids=["equal", "two", "flat"])
def test_where_nothing_can_be_drawn_it_says_so(vectors: np.ndarray) -> None:
    with pytest.raises(LabError, match="map: these vectors do not differ"):
        plane_of(vectors.astype(np.float32))


def test_the_map_marks_the_question_and_the_first_of_the_ranking(explorer: Explorer) -> None:
    question = Question("the capital of italy")
    found = explorer.rank(question, LAST_MEAN)
    shown = spots_of(explorer, question, LAST_MEAN, found)
    place = list(found.index).index("it0")
    assert shown.titles[place] == "Italy ✓"
    assert shown.titles == [title + " ✓" * (i == place) for i, title in enumerate(found["title"])]
    where = dict(zip(explorer.passages(shown.plane.rows).index, shown.plane.places.tolist(), strict=True))
    assert shown.found.tolist() == [pytest.approx(where[passage], abs=1e-5) for passage in found.index]
    assert (shown.grouped, set(shown.groups)) == ("entity", {"fr", "it", "x"})  # there are no topics
    html = mapped(shown)
    assert html.count('r="3"') == html.count('r="6"') == 4
    assert "All 4 passages, by the first two principal components under 3/mean" in html
    assert "<b>Bern" not in html
    assert f"✚ question; ◯ 1 {found['title'].iloc[0]}" in html
    assert spots_of(explorer, question, Fused(LAST_MEAN, 0.5), found).strategy == "3/mean"
    with pytest.raises(LabError, match="map: words alone have no vectors"):
        spots_of(explorer, question, "bm25", found)


def test_long_names_are_cut_and_missing_ones_are_the_text_s_start() -> None:
    texts = {"title": ["Rome", "", "a" * 60], "text": ["x", "b" * 30 + " " * 20 + "c", "y"]}
    assert spots._names(pd.DataFrame(texts)) == ["Rome", "b" * 30 + "…", "a" * 47 + "…"]


def test_the_largest_groups_have_the_colours() -> None:
    groups = [name for name, n in zip("abcdefgh", (1, 5, 4, 3, 3, 2, 2, 6), strict=True) for _ in range(n)]
    colours = colours_of(groups)
    assert list(colours) == ["h", "b", "c", "d", "e", "f"]
    assert list(colours.values()) == list(PALETTE[:6])
    assert colours_of(["", ""]) == {"": PALETTE[0]}


def test_a_map_without_groups_titles_or_right_answers(explorer: Explorer) -> None:
    shown = spots_of(explorer, Question("rome"), LAST_MEAN, explorer.rank(Question("rome"), LAST_MEAN))
    bare = replace(shown, grouped="", groups=[""] * 4, passages=90)
    html = mapped(bare)
    assert "4 of 90 passages, drawn at random" in html
    assert "hs-groups" not in html
    assert html.count(f'fill="{PALETTE[0]}"') == 4


def test_the_map_is_drawn_while_it_is_open(view: ExplorerView, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []
    spied = "hiddenstates.explorer.findings.spots_of"
    monkeypatch.setattr(spied, lambda *given: drawn.append(given) or spots_of(*given))
    view.question.text.value = "rome"
    assert drawn == []
    view.findings.map.shown.value = True
    assert "<svg" in view.findings.map.drawn.value
    view.strategy.typed.value = "1/mean"
    assert len(drawn) == 2
    assert "under 1/mean" in view.findings.map.drawn.value
    view.strategy.typed.value = "bm25"
    assert view.findings.map.drawn.value == (
        '<p class="hs-told">map: words alone have no vectors. Choose a strategy that has layers.</p>'
    )
    view.strategy.typed.value = "0/first"
    assert "these vectors do not differ" in view.findings.map.drawn.value
    assert view.message.value == ""
    view.strategy.typed.value = "nothing"
    assert view.findings.map.drawn.value == ""
    view.strategy.typed.value = "1/mean"
    view.findings.map.shown.value = False
    assert view.findings.map.drawn.value == ""

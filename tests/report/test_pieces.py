import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.paths import ROOT
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.report import pieces
from hiddenstates.report.pieces import (
    ask_names,
    between_places,
    correlations,
    found_by,
    in_words,
    named_only,
    names_of,
    ranks,
    share_of,
    spearman,
)


@pytest.fixture
def task() -> Task:
    """Six questions about six entities; what is found has p{i} in it."""
    passages = table(({"id": f"p{i}", "entity": f"e{i}", "title": f"Name {i}"} for i in range(6)), PASSAGE_COLUMNS)
    rows = ({"id": f"q{i}", "set": "named", "split": "test", "entity": f"e{i}"} for i in range(6))
    qrels = Qrels({f"q{i}": {f"p{i}": 1.0} for i in range(6)})
    return Task(KnowledgeBase(passages, ROOT, "toy"), table(rows, QUERY_COLUMNS), qrels)


def run_of(places: list[int]) -> Run:
    """Question i finds its passage at this place of three, 0 for nowhere."""
    rows = {
        f"q{i}": {f"p{i}" if place == rank else f"x{rank}": -float(rank) for rank in (1, 2, 3)}
        for i, place in enumerate(places)
    }
    return Run(rows)


def test_a_query_s_name_is_the_title_of_its_best_passage(task: Task) -> None:
    better = Task(task.kb, task.queries, Qrels(task.qrels.rows | {"q0": {"p1": 1.0, "p2": 2.0}}))
    assert names_of(better)[["q0", "q1"]].tolist() == ["Name 2", "Name 1"]


def test_what_is_not_found_comes_after_all_that_is(task: Task) -> None:
    assert ranks(run_of([1, 2, 3, 0, 1, 1]), task.qrels).tolist() == [1, 2, 3, 4, 1, 1]


def test_the_correlation_s_sign_says_whether_more_is_later(task: Task) -> None:
    counts = pd.Series({f"q{i}": i for i in range(6)})
    runs = {"later": run_of([1, 1, 2, 2, 3, 3]), "sooner": run_of([3, 3, 2, 2, 1, 1]), "same": run_of([2] * 6)}
    rows = correlations(runs, task, counts, seed=0).loc["named"]
    assert rows["n"].tolist() == [6, 6, 6]
    expected = spearmanr([1, 1, 2, 2, 3, 3], range(6))[0]
    assert rows["value"].tolist() == pytest.approx([expected, -expected, 0.0])
    assert rows.loc["later", "low"] > 0 > rows.loc["sooner", "high"]
    assert rows.loc["same"].tolist() == [6, 0, 0, 0]


def test_counts_that_are_all_equal_say_nothing(task: Task) -> None:
    counts = pd.Series({f"q{i}": 1 for i in range(6)})
    assert correlations({"run": run_of([1, 2, 3, 1, 2, 3])}, task, counts, 0).loc[("named", "run")].tolist() == [
        6,
        0,
        0,
        0,
    ]


def test_spearman_of_a_draw_is_that_of_the_items_repeated() -> None:
    random = np.random.default_rng(0)
    first, second = random.integers(4, size=(2, 12)).astype(float)
    weights = random.integers(3, size=(5, 12)).astype(float)
    drawn = [[np.repeat(values, row.astype(int)) for values in (first, second)] for row in weights]
    assert spearman(first, second, weights) == pytest.approx([spearmanr(*pair)[0] for pair in drawn])


NAMES = pd.DataFrame(
    [
        ("a", "Suisse", "Switzerland", "Latin"),
        ("a", "swítzer-land", "Switzerland", "Latin"),
        ("a", "Svizzera", "Switzerland", "Latin"),
        ("b", "Genf", "Geneva", "Latin"),
        ("c", "Женева", "Geneva", "Cyrillic"),
    ],
    columns=["entity", "name", "english", "script"],
)


def test_foreign_names_ask_for_the_english_one() -> None:
    asked = ask_names(NAMES, ["script"], each=10, seed=0)
    assert list(asked.names["name"]) == ["Suisse", "Svizzera", "Genf", "Женева"]
    assert asked.english.to_dict() == {"a": "Switzerland", "b": "Geneva", "c": "Geneva"}
    assert asked.qrels["q0"] == {"a": 1.0}
    assert asked.qrels["q2"] == asked.qrels["q3"] == {"b": 1.0, "c": 1.0}  # who is meant cannot be told


def test_no_group_asks_more_than_its_share_and_the_seed_draws() -> None:
    drawn = [tuple(ask_names(NAMES, ["script"], 1, seed).names["name"]) for seed in range(8)]
    assert {len(names) for names in drawn} == {2}
    assert len(set(drawn)) > 1
    assert drawn[0] == tuple(ask_names(NAMES, ["script"], 1, 0).names["name"])


def test_found_by_means_of_each_kind() -> None:
    values = pd.Series([1.0, 0.0, 0.5], index=["q0", "q1", "q2"])
    kinds = pd.Series(["b", "b", "a"], index=values.index)
    rows = found_by(values, kinds, ["e0", "e1", "e2"], seed=0)
    assert rows.loc["a"].tolist() == [1, 0.5, 0.5, 0.5]
    assert rows.loc["b", ["n", "value", "low", "high"]].tolist() == [2, 0.5, 0, 1]


def test_a_name_that_is_the_only_one_asks_for_itself() -> None:
    own = pd.DataFrame({"entity": ["a", "b"], "name": ["Kiel", "Лена"], "english": ["Kiel", "Лена"], "script": "x"})
    asked = ask_names(own, ["script"], each=10, seed=0)
    assert list(asked.names["name"]) == ["Kiel", "Лена"]
    assert asked.qrels["q1"] == {"b": 1.0}


def test_of_many_names_those_asked_for_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SEARCHED", 5)
    names = [f"n{i}" for i in range(30)]
    own = pd.DataFrame({"entity": names, "name": names, "english": names, "script": ["a"] * 29 + ["b"]})
    asked = ask_names(own, ["script"], each=2, seed=0)
    assert len(asked.english) == 5
    assert set(asked.names["english"]) <= set(asked.english)
    monkeypatch.setattr(pieces, "SEARCHED", 1)
    assert set(ask_names(own, ["script"], 2, 0).english) == set(asked.names["english"])


def test_questions_whose_passage_has_no_title_are_left_out(task: Task) -> None:
    rows = [{"id": f"p{i}", "title": "" if i % 2 else f"Name {i}"} for i in range(6)]
    bare = Task(KnowledgeBase(table(rows, PASSAGE_COLUMNS), ROOT, "toy"), task.queries, task.qrels)
    assert named_only(bare).queries["id"][:] == ["q0", "q2", "q4"]


def audited(outcomes: dict[str, list[str]]) -> pd.DataFrame:
    """Of each place, the outcomes of names n0, n1, …, to one tokenizer."""
    rows = [("t", place, f"n{i}", outcome) for place, row in outcomes.items() for i, outcome in enumerate(row)]
    return pd.DataFrame(rows, columns=["tokenizer", "place", "name", "outcome"])


def test_places_are_compared_by_entity() -> None:
    one, several = "one token", "several pieces"
    table = audited({"alone": [several] * 40, "sentence": [one] * 30 + [several] * 10, "head": [several] * 40})
    entities = pd.Series({f"n{i}": f"e{max(i - 20, 0)}" for i in range(40)})  # n0 to n20 are one entity's
    rows = between_places(table, entities, "alone", seed=0).loc["t"]
    assert rows.loc["sentence", "n"] == 20
    assert rows.loc["sentence", "difference"] == pytest.approx(10 / 20)  # of 40 names 30, of 20 entities 10
    assert 0.25 <= rows.loc["sentence", "low"] < 0.5 < rows.loc["sentence", "high"] <= 0.75
    assert rows.loc["sentence", "p"] < 0.01
    assert rows.loc["head", ["difference", "low", "high", "p"]].tolist() == [0, 0, 0, 1]


def test_the_share_of_an_outcome_with_its_interval() -> None:
    table = audited({"alone": ["one token"] * 30 + ["unknown"] * 10})
    row = share_of(table, "one token", seed=0).loc["t"]
    assert row["n"] == 40
    assert row["low"] < row["value"] == 0.75 < row["high"]


def test_a_tokenizer_in_a_sentence_to_quote() -> None:
    kind = pd.Series({"model": "WordPiece", "entries": 30522, "from": "published"})
    columns = ["names", "one token", "several pieces", "with other letters", "unknown", "lost"]
    table = pd.DataFrame([[40, 0.25, 0.5, 0, 0.25, 0], [40, 0.1, 0.9, 0, 0, 0]], ["run", "bare"], columns)
    assert in_words("bert", kind, table, "run", "bare") == (
        "**bert** (WordPiece, 30,522 entries, published): of 40 names in a sentence 25.0% are one token, 50.0% are "
        "several pieces, 25.0% hold something unknown; alone, as the whole text, 10.0% are one token."
    )

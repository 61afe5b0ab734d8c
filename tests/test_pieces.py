import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.paths import ROOT
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.report.pieces import ask_names, correlations, found_by, names_of, ranks, spearman


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

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels
from hiddenstates.core.strategy import Strategy
from hiddenstates.report import space
from hiddenstates.report.space import exchanged, kinds, not_told_apart, shrinking, spaces, top, weights, worth_asking
from hiddenstates.retrieval.strategies.sweep import Sweep

N_QUERIES = 60
NAMES = ["0/mean", "1/mean", "2/mean", "sum(0,1)/mean", "sum(1,2)/mean", "concat(0,2)/mean", "sum(0..2)/mean"]
DEV = [0.1, 0.2, 0.3, 0.6, 0.5, 0.9, 0.4]
TEST = [0.15, 0.25, 0.35, 0.2, 0.55, 0.7, 0.45]


def scored(means: dict[str, list[float]], values: dict[str, np.ndarray] | None = None) -> Sweep:
    columns = {(name, "mrr@10"): column for name, column in means.items()}
    frame = pd.DataFrame(columns, index=NAMES).rename_axis(columns=("set", "measure"))
    return Sweep([Strategy.parse(name) for name in NAMES], frame, values or {}, [])


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("concat(0,2)/mean", ["all subsets"]),
        ("sum(0,1)/mean", ["all subsets", "contiguous"]),
        ("sum(1,2)/mean", ["all subsets", "contiguous", "last k"]),
        ("2/mean", ["all subsets", "contiguous", "last k", "one layer"]),
        ("0/mean", ["all subsets", "contiguous", "one layer"]),
        ("2/mean+white", []),
        ("sum(1*0.5,2*0.5)/mean", []),
    ],
)
def test_which_spaces_hold_a_strategy(text: str, inside: list[str]) -> None:
    assert [name for name, holds in spaces(3).items() if holds(Strategy.parse(text))] == inside


def test_shrinking_by_hand() -> None:
    found = shrinking(scored({"b": DEV, "a": DEV[::-1]}), scored({"b": TEST, "a": TEST}), "mrr@10", 3)
    assert [tuple(row) for row in found.loc["b"].itertuples()] == [
        ("all subsets", 7, "concat(0,2)/mean", 0.9, 0.7),
        ("contiguous", 6, "sum(0,1)/mean", 0.6, 0.2),
        ("last k", 3, "sum(1,2)/mean", 0.5, 0.55),
        ("one layer", 3, "2/mean", 0.3, 0.35),
    ]
    assert list(found.index.unique("set")) == ["b", "a"]
    assert found.loc[("a", "one layer"), "strategy"] == "1/mean"  # reversed: .4, .9, .5


def test_worth_asking_is_what_the_figures_show_of_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "BEST_ON_DEV", 2)
    dev = scored({"b": DEV, "a": [0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1]})
    asked = list(map(str, worth_asking(dev, "mrr@10", ["b"], 3)))
    best_of_spaces = ["concat(0,2)/mean", "sum(0,1)/mean", "sum(1,2)/mean", "2/mean"]
    assert sorted(asked) == sorted(
        best_of_spaces
    )  # the best of the kind, of set a and the two leading ones are among them
    monkeypatch.setattr(space, "BEST_ON_DEV", 6)
    assert set(NAMES) - set(map(str, worth_asking(dev, "mrr@10", ["b"], 3))) == {"0/mean"}


def test_the_best_of_each_kind_by_hand() -> None:
    names = [
        "1/mean",
        "2/mean",
        "sum(0*0.1,2*0.9)/mean",
        "2/mean+white.9",
        "1/mean+white.9",
        "sum(0*0.1,2*0.9)/mean+white.9",
    ]
    points = pd.DataFrame({"dev": [0.5, 0.25, 0.25, 0.5, 0.75, 1.0], "test": [0.5, 1, 0.25, 1, 0.75, 0]}, index=names)
    found = kinds(points.rename_axis("strategy"))
    assert {str(row.Index): tuple(row[1:]) for row in found.itertuples()} == {
        "neither": (2, "1/mean", 0.5, 0.5, 0, 0),
        "learned weights": (1, "sum(0*0.1,2*0.9)/mean", 0.25, 0.25, -0.25, -0.25),
        "whitening": (2, "1/mean+white.9", 0.75, 0.75, 0.25, 0.25),
        "learned weights and whitening": (1, "sum(0*0.1,2*0.9)/mean+white.9", 1, 0, 0.5, -0.5),
    }
    assert list(found.columns[-2:]) == ["gain on dev", "gain on test"]


def test_weights_by_hand() -> None:
    learned = [Strategy.parse(s) for s in ("sum(0*0.1,2*0.9)/mean", "1/max+ln")]
    assert weights(learned, 3).to_dict("index") == {"mean": {0: 0.1, 1: 0, 2: 0.9}, "max+ln": {0: 0, 1: 1, 2: 0}}
    assert weights([], 2).to_dict("index") == {"none learned": {0: 0, 1: 0}}


def test_exchanged_by_hand() -> None:
    test = scored({"a": TEST, "b": TEST[::-1]})
    found = exchanged({"a": Strategy.parse("concat(0,2)/mean"), "b": Strategy.parse("0/mean")}, test, "mrr@10")
    assert found.to_dict("index") == {"a": {"a": 0.7, "b": 0.25}, "b": {"a": 0.15, "b": 0.45}}


def test_the_best_of_each_set() -> None:
    found = top(scored({"a": DEV, "b": DEV[::-1]}), "mrr@10", ["b", "a"], 2)
    assert {name: series.to_dict() for name, series in found.items()} == {
        "b": {"1/mean": 0.9, "sum(0,1)/mean": 0.6},
        "a": {"concat(0,2)/mean": 0.9, "sum(0,1)/mean": 0.6},
    }


def asked(sets: str = "ab") -> Task:
    """As many queries of each set, each about an entity of its own."""
    queries = table([{"id": f"q{i}", "set": sets[i % len(sets)]} for i in range(N_QUERIES)], QUERY_COLUMNS)
    return Task(KnowledgeBase(table([{"id": "p"}], PASSAGE_COLUMNS), Path(), "r"), queries, Qrels({}))


def noisy(effects: list[float]) -> Sweep:
    """Strategies that differ from one set of values by an effect, and some noise where there is one."""
    random = np.random.default_rng(0)
    base = random.random(N_QUERIES)
    noise = 0.1 * random.normal(size=(len(effects), N_QUERIES)) * (np.array(effects) != 0)[:, None]
    values = (base + np.array(effects)[:, None] + noise).astype(np.float32)
    return scored({"a": DEV, "b": DEV}, {"mrr@10": values})


def apart(swept: Sweep, task: Task, sets: list[str]) -> int:
    """How many are not told from the first."""
    return not_told_apart(swept, swept.strategies[0], swept.values["mrr@10"][0], task, "mrr@10", sets, 0)


@pytest.mark.parametrize(
    ("effects", "left"),
    [
        ([0] * 7, 6),  # identical: none is told apart
        ([0] + [-0.5] * 6, 0),  # clearly worse: all are
        ([0, 0, 0, -0.5, -0.5, -0.5, 0], 3),
        ([0, 1e-4, -1e-4, -1e-4, 1e-4, 0, -0.5], 5),  # within the noise
    ],
)
def test_what_cannot_be_told_from_the_choice(effects: list[float], left: int) -> None:
    assert apart(noisy(effects), asked(), ["a", "b"]) == left


def test_only_the_sets_asked_for_tell_apart() -> None:
    swept = noisy([0] * 7)
    swept.values["mrr@10"][1:, ::2] -= 0.5  # on the queries of set a
    found = {sets: apart(swept, asked(), list(sets)) for sets in ("a", "b")}
    assert found == {"a": 0, "b": 6}


def test_queries_about_one_entity_are_one_observation() -> None:
    swept = noisy([0] + [-0.5] * 6)
    rows = [dict(row, entity=f"e{i % 4}") for i, row in enumerate(asked().queries)]
    four = Task(asked().kb, table(rows, QUERY_COLUMNS), Qrels({}))
    # 4 entities have 16 patterns of signs, so that no p is below 2/16
    assert apart(swept, four, ["a", "b"]) == 6

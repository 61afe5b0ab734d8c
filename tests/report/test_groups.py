from pathlib import Path

import pytest

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.report.groups import LEAST, by_group, by_split_and_view, side_by_side


def task(views: dict[str, list[str]]) -> Task:
    """One query for each view of each split, all about the one passage."""
    rows = [
        {"id": f"{split}{i}", "set": "s", "split": split, "view": view, "entity": f"{split}{i}"}
        for split, named in views.items()
        for i, view in enumerate(named)
    ]
    qrels = Qrels({row["id"]: {"p": 1.0} for row in rows})
    return Task(KnowledgeBase(table([{"id": "p"}], PASSAGE_COLUMNS), Path(), "test"), table(rows, QUERY_COLUMNS), qrels)


def test_each_split_is_a_group_and_each_view_of_enough_questions() -> None:
    groups = by_split_and_view(task({"test": ["4"] * LEAST + ["5"] * 2, "train": ["0"]}), ("test", "dev", "train"))
    assert {name: len(queries) for name, queries in groups.items()} == {
        "test": LEAST + 2,
        "test, view 4": LEAST,
        "train": 1,
    }


def test_a_group_has_a_row_for_each_run_that_answers_all_of_it() -> None:
    asked = task({"test": ["4", "4"], "train": ["0"]})
    everywhere = Run({"test0": {"p": 1.0}, "test1": {"x": 1.0}, "train0": {"p": 1.0}})
    on_test = Run({"test0": {"p": 1.0}, "test1": {"p": 1.0}})
    tables = by_group(
        {"a": everywhere, "b": on_test}, asked, {"test": ["test0", "test1"], "train": ["train0"]}, "recall@1", 0
    )
    assert tables["test"]["value"].to_dict() == {"a": 1 / 2, "b": 2 / 2}
    assert tables["test"]["n"].tolist() == [2, 2]
    assert tables["train"]["value"].to_dict() == {"a": 1.0}
    shown = side_by_side(tables)
    assert list(shown.columns) == ["test (n = 2)", "train (n = 1)"]
    assert shown.loc["b"].tolist() == ["1.000 [1.000, 1.000]", ""]


def test_no_groups_ask_for_no_measure() -> None:
    assert by_group({"a": Run({})}, task({}), {}, "spearman", 0) == {}


def test_a_group_is_what_its_queries_are_in_any_order() -> None:
    asked = task({"test": ["4"] * 4})
    run = Run({"test0": {"p": 1.0}, "test1": {"x": 1.0}, "test2": {"x": 1.0}, "test3": {"x": 1.0}})
    there, back = (
        by_group({"a": run}, asked, {"g": ids}, "mrr@10", 0)["g"] for ids in (["test0", "test1"], ["test1", "test0"])
    )
    assert there.loc["a", "value"] == back.loc["a", "value"] == pytest.approx(1 / 2)

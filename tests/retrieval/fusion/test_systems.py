from pathlib import Path

import pytest

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.retrieval.fusion.shown import Shown
from hiddenstates.retrieval.fusion.systems import Lists, best_of_each, oracles, read_joint, with_images
from hiddenstates.retrieval.measures import evaluate

PASSAGES = {f"{entity}/{topic}": f"{entity}.png" for entity in ("mc", "jp", "ch") for topic in ("capital", "money")}
VIEWS = {"d0": "view-mc.png", "d1": "view-jp.png", "t0": "view-ch.png"}
RIGHT = {"d0": "mc/money", "d1": "jp/money", "t0": "ch/money", "t1": "ch/capital"}
SHOWN = Shown(PASSAGES, VIEWS)
MONEY = {passage: (0.8 if passage.endswith("money") else 0.3) for passage in PASSAGES}  # says what, not of which
NEAR = Run({view: {f"{e}.png": (0.9 if e in view else 0.5) for e in ("mc", "jp", "ch")} for view in VIEWS.values()})
LISTS = Lists(Run(dict.fromkeys(VIEWS, MONEY)), SHOWN.onto_passages(NEAR), Run(dict.fromkeys(VIEWS, MONEY)), NEAR)


def task() -> Task:
    passages = table(({"id": id, "image": image} for id, image in PASSAGES.items()), PASSAGE_COLUMNS)
    rows = (
        {"id": q, "set": "visual", "split": {"d": "dev", "t": "test"}[q[0]], "image": VIEWS.get(q, "")} for q in RIGHT
    )
    qrels = Qrels({query: {passage: 1.0} for query, passage in RIGHT.items()})
    return Task(KnowledgeBase(passages, Path(), "test"), table(rows, QUERY_COLUMNS), qrels)


def test_neither_list_finds_what_both_together_find() -> None:
    dev, test = (SHOWN.asked(task().select(split=split)) for split in ("dev", "test"))
    systems = with_images(LISTS, SHOWN, dev, "recall@1", [1, 2], depth=3)
    found = {name: evaluate(run, test.qrels, ["recall@1"])["recall@1"].mean() for name, run in systems.runs.items()}
    assert found == {"image": 0, "name": 0, "weighted": 1, "reciprocal_rank": 1, "filtered": 1, "soft_filter": 1}
    assert evaluate(LISTS.text, test.qrels, ["recall@1"])["recall@1"].mean() == 0
    assert (systems.chosen["nearest images"], systems.chosen["weighted on dev"]) == (1, 1.0)
    assert sum(systems.chosen["weights"].values()) == pytest.approx(1)


def test_every_question_of_the_lists_is_answered_at_the_depth() -> None:
    systems = with_images(LISTS, SHOWN, task().select(split="dev"), "mrr@10", [1], depth=1)
    assert all(set(run) == set(VIEWS) for run in systems.runs.values())
    assert systems.runs["weighted"]["t0"].keys() == {"ch/money"}


def test_where_dev_shows_no_image_there_is_no_system() -> None:
    nothing = Shown({}, {})
    systems = with_images(
        Lists(Run({}), Run({}), Run({}), Run({})), nothing, task().select(split="dev"), "mrr@10", [1], 9
    )
    assert (systems.runs, systems.chosen) == ({}, {})
    assert oracles(LISTS, nothing, {}, nothing.asked(task()), "mrr@10") == {}


def test_oracles_know_the_image_and_the_best_system() -> None:
    test = SHOWN.asked(task().select(split="test"))
    bounds = oracles(LISTS, SHOWN, {"text": LISTS.text, "filtered": Run({"t0": {"ch/money": 1.0}})}, test, "mrr@10")
    assert bounds["oracle: right image, then text"].rows == {"t0": {"ch/money": 0.8, "ch/capital": 0.3}}
    assert bounds["oracle: best system of each query"].rows == {"t0": {"ch/money": 1.0}}


def test_the_best_of_each_takes_the_first_of_equals() -> None:
    first, second = Run({"q": {"a": 1.0}, "r": {"b": 1.0}}), Run({"q": {"a": 2.0}, "r": {"a": 1.0}})
    best = best_of_each({"first": first, "second": second}, Qrels({"q": {"a": 1.0}, "r": {"a": 1.0}}), "mrr@10")
    assert best.rows == {"q": {"a": 1.0}, "r": {"a": 1.0}}


def test_a_joint_run_counts_only_if_it_covers_the_questions(tmp_path: Path) -> None:
    asked = task().select(split="test")
    assert read_joint(tmp_path, asked) == {}
    Run({"t0": {"ch/money": 1.0}, "other": {"ch/money": 1.0}}).write(tmp_path / "chosen.run", "joint")
    assert read_joint(tmp_path, asked) == {}  # t1 is missing
    assert read_joint(tmp_path, SHOWN.asked(asked))["joint"].rows == {"t0": {"ch/money": 1.0}}
    assert read_joint(tmp_path, asked.select(split="dev")) == {}  # nothing to cover

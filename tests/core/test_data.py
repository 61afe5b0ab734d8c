import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest

from hiddenstates.core.data import (
    PASSAGE_COLUMNS,
    QUERY_COLUMNS,
    KnowledgeBase,
    Task,
    open_dataset,
    pinned,
    table,
    tables,
)
from hiddenstates.core.data.vectors import save_with_vectors
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels

PASSAGES = [{"id": "p0", "title": "Bern", "text": "A city."}, {"id": "p1", "text": "No title."}, {"id": "p2"}]
QUERIES = [
    {"id": "q0", "set": "named", "split": "dev", "entity": "CH", "template": "t1"},
    {"id": "q1", "set": "alias", "split": "dev", "entity": "CH"},
    {"id": "q2", "set": "named", "split": "test"},
]
QRELS = Qrels({"q0": {"p0": 1.0}, "q1": {"p0": 2.0, "p1": 0.0}, "q2": {"p1": 1.0}})


def task(images: Path) -> Task:
    kb = KnowledgeBase(table(PASSAGES, PASSAGE_COLUMNS), images, "own@1")
    return Task(kb, table(QUERIES, QUERY_COLUMNS), QRELS, unjudged=3)


def test_a_table_has_every_column_as_strings() -> None:
    rows = table([{"id": 7, "other": "x"}, {}], ("id", "title"))
    assert rows.column_names == ["id", "title"]
    assert rows.to_dict() == {"id": ["7", ""], "title": ["", ""]}
    assert table([], ("id",)).to_dict() == {"id": []}


def test_a_passage_is_encoded_with_its_title(tmp_path: Path) -> None:
    assert task(tmp_path).kb.texts() == ["Bern A city.", "No title.", ""]
    assert task(tmp_path).kb.ids == ["p0", "p1", "p2"]


@pytest.mark.parametrize(
    ("set_", "split", "ids"),
    [
        (None, None, ["q0", "q1", "q2"]),
        ("named", None, ["q0", "q2"]),
        (None, "dev", ["q0", "q1"]),
        ("named", "dev", ["q0"]),
        ("alias", "test", []),
        ("named", ("train", "test"), ["q2"]),
        (None, ("dev", "test"), ["q0", "q1", "q2"]),
    ],
)
def test_select(tmp_path: Path, set_: str | None, split: str | tuple[str, ...] | None, ids: list[str]) -> None:
    part = task(tmp_path).select(set=set_, split=split)
    assert part.queries["id"][:] == ids
    assert list(part.qrels) == ids
    assert len(part.kb.passages) == 3


def test_a_task_within_some_items_asks_only_for_what_is_there(tmp_path: Path) -> None:
    part = task(tmp_path).within(passages=["p1", "p2"], queries=["q2", "q1", "q0"])
    assert part.kb.ids == ["p1", "p2"]
    assert part.queries["id"][:] == ["q1", "q2"]  # what q0 should find is not there
    assert part.qrels == Qrels({"q1": {"p1": 0.0}, "q2": {"p1": 1.0}})
    whole = task(tmp_path).within(["p0", "p1", "p2"], ["q0", "q1", "q2"])
    assert (whole.kb.ids, whole.queries["id"][:], whole.qrels) == (["p0", "p1", "p2"], ["q0", "q1", "q2"], QRELS)


def test_sets_come_in_the_order_of_the_queries(tmp_path: Path) -> None:
    assert task(tmp_path).sets == ["named", "alias"]


def test_queries_without_an_entity_are_clusters_of_their_own(tmp_path: Path) -> None:
    assert task(tmp_path).clusters() == {"entity": ["CH", "CH", "q2"], "template": ["t1", "", ""]}
    assert task(tmp_path).select(set="alias").clusters() == {"entity": ["CH"]}


def test_a_saved_task_comes_back_from_wherever_it_was_moved(tmp_path: Path) -> None:
    task(tmp_path / "one" / "images").save(tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    back = Task.load(tmp_path / "two")
    assert back.kb.passages.to_dict() == task(tmp_path).kb.passages.to_dict()
    assert back.queries.to_dict() == task(tmp_path).queries.to_dict()
    assert (back.qrels, back.measure, back.unjudged, back.kb.revision) == (QRELS, "retrieval", 3, "own@1")
    assert back.kb.images == tmp_path / "two" / "images"


def test_images_elsewhere_stay_where_they_are(tmp_path: Path) -> None:
    task(tmp_path / "images").save(tmp_path / "task")
    assert Task.load(tmp_path / "task").kb.images == tmp_path / "images"


def test_the_same_task_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        task(tmp_path / name / "images").save(tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", ["task.json", "passages.parquet", "queries.parquet"])
def test_a_spoilt_task_is_refused(tmp_path: Path, name: str) -> None:
    task(tmp_path / "images").save(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(LabError, match=r"no task can be read from it .*Run the stage `corpus` again"):
        Task.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(LabError, match=r"no task can be read from it"):
        Task.load(tmp_path)


def test_a_task_without_judgements_is_refused(tmp_path: Path) -> None:
    task(tmp_path / "images").save(tmp_path)
    (tmp_path / "qrels.trec").unlink()
    with pytest.raises(LabError, match=r"qrels\.trec: cannot be read .*Run the stage that writes it"):
        Task.load(tmp_path)


def test_a_revision_changes_with_any_row() -> None:
    before = pinned("own", table(PASSAGES, PASSAGE_COLUMNS))
    assert before == pinned("own", table(PASSAGES, PASSAGE_COLUMNS))
    assert before.startswith("own@")
    assert len(before) == len("own@") + 12
    assert before != pinned("own", table([*PASSAGES[:2], {"id": "p2", "text": "!"}], PASSAGE_COLUMNS))
    assert before != pinned("own", table(PASSAGES[::-1], PASSAGE_COLUMNS))


@pytest.mark.parametrize(
    ("rows", "measure", "expected"),
    [
        ({"q": {"p": 1.0}, "r": {"p": 1.0, "o": 1.0}}, "retrieval", "mrr@10"),
        ({"q": {"p": 1.0}, "r": {"p": 1.0, "o": 2.0}}, "retrieval", "ndcg@10"),  # graded
        ({"q": {"p": 1.0}, "r": {"p": 1.0, "o": 0.0}}, "retrieval", "mrr@10"),  # 0 is no grade of relevance
        ({q: {f"p{i}": 1.0 for i in range(3)} for q in "qr"}, "retrieval", "ndcg@10"),  # many
        ({"q": {"p": 1.5}, "r": {"p": 1.0}}, "similarity", "spearman"),
    ],
)
def test_the_measure_follows_from_the_judgements(
    rows: dict[str, dict[str, float]], measure: Literal["retrieval", "similarity"], expected: str
) -> None:
    kb = KnowledgeBase(table([{"id": "p"}], PASSAGE_COLUMNS), Path(), "r")
    assert Task(kb, table([{"id": q} for q in rows], QUERY_COLUMNS), Qrels(rows), measure).default_measure == expected


def test_each_query_set_has_one_vote_on_the_measure_however_large_it_is() -> None:
    kb = KnowledgeBase(table([{"id": "p"}], PASSAGE_COLUMNS), Path(), "r")
    many = {f"m{i}": {f"p{k}": 1.0 for k in range(9)} for i in range(50)}
    one, graded = {"a": {"p": 1.0}, "b": {"p": 1.0}}, {"g": {"p": 1.0, "o": 2.0}}

    def measure(sets: dict[str, dict[str, dict[str, float]]]) -> str:
        queries = table([{"id": q, "set": name} for name, rows in sets.items() for q in rows], QUERY_COLUMNS)
        return Task(kb, queries, Qrels({q: row for rows in sets.values() for q, row in rows.items()})).default_measure

    a, b = ({q: one[q]} for q in "ab")
    assert measure({"many": many, "a": a, "b": b}) == "mrr@10"
    assert measure({"many": many, "graded": graded, "a": a}) == "ndcg@10"
    assert measure({"many": many, "a": a}) == "ndcg@10"  # a draw


def test_a_table_of_many_rows_is_read_from_disk_and_comes_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 3)
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path))
    rows = [{"id": f"p{i}", "text": "é" * i} for i in range(8)]
    made = table(rows, PASSAGE_COLUMNS)
    assert made["id"][:] == [f"p{i}" for i in range(8)]
    assert [len(text) for text in made["text"]] == list(range(8))
    assert {buffer.parent is not None for buffer in made.data.column("text").chunk(0).buffers() if buffer} == {True}
    assert list(tmp_path.iterdir()) == [], "the file has no name any more"
    made.to_parquet(tmp_path / "passages.parquet")
    again = tables.read_table(tmp_path / "passages.parquet", PASSAGE_COLUMNS)
    assert again[:] == made[:]
    assert made.select([7, 0])["id"][:] == ["p7", "p0"]


@pytest.mark.parametrize("n", [0, 1, 3, 4])
def test_a_table_has_as_many_rows_as_there_are(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 3)
    made = table([{"id": str(i)} for i in range(n)], PASSAGE_COLUMNS)
    assert (len(made), made.column_names) == (n, list(PASSAGE_COLUMNS))


def test_a_long_table_takes_the_memory_of_a_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 100)
    rows = ({"id": str(i), "text": f"{i} " * 2500} for i in range(4000))  # 40 MB and more
    tracemalloc.start()
    try:
        table(rows, PASSAGE_COLUMNS).to_parquet(tmp_path / "passages.parquet")
        assert len(tables.read_table(tmp_path / "passages.parquet", PASSAGE_COLUMNS)) == 4000
        assert tracemalloc.get_traced_memory()[1] < 15e6
    finally:
        tracemalloc.stop()


def test_vectors_go_beside_their_rows_a_part_in_memory_at_a_time(tmp_path: Path) -> None:
    rows = table(({"id": f"p{i}", "text": "x"} for i in range(40_000)), ("id", "text"))
    whole = np.random.default_rng(0).standard_normal((40_000, 16), dtype=np.float32)
    before, held = pa.total_allocated_bytes(), []

    def parts() -> Iterator[np.ndarray]:
        for first in range(0, len(whole), 1000):
            held.append(pa.total_allocated_bytes() - before)
            yield whole[first : first + 1000]

    save_with_vectors(rows, parts(), "vector", tmp_path / "saved")
    assert max(held) < 1e6 < whole.nbytes
    saved = open_dataset(str(tmp_path / "saved"), None, None)
    assert saved.remove_columns("vector").to_dict() == rows.to_dict()
    np.testing.assert_array_equal(np.array(saved["vector"][:], dtype=np.float32), whole)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_rows_are_looked_up_without_reading_all_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 3)
    kb = KnowledgeBase(table([{"id": f"p{i}", "text": str(i)} for i in range(8)], PASSAGE_COLUMNS), tmp_path, "r")
    assert [part.ids for part in kb.parts()] == [["p0", "p1", "p2"], ["p3", "p4", "p5"], ["p6", "p7"]]
    assert kb.places(["p7", "p2", "no"]) == {"p2": 2, "p7": 7}
    assert {id: row["text"] for id, row in kb.rows(["p7", "p2", "no"]).items()} == {"p2": "2", "p7": "7"}
    assert kb.rows([]) == {}

"""A folder in BEIR's layout (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/<split>.tsv, and images/."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Row, Task, pinned, table
from hiddenstates.core.params import Corpus
from hiddenstates.core.relevance import Qrels
from hiddenstates.corpora.judgements import Item, Judgement, identical, settled
from hiddenstates.corpora.reading import Record, json_records, tsv_records
from hiddenstates.corpora.splits import assign_splits, split_files

QRELS_COLUMNS = ("query-id", "corpus-id", "score")


def is_beir(folder: Path) -> bool:
    return (folder / "corpus.jsonl").is_file()


def load_beir(folder: Path, params: Corpus) -> Task:
    """The folder as a task of one query set, named after the folder; queries that no split judges are left out.

    What its judgements say that cannot be taken as it is written, a note of the task tells.
    """
    records = {name: list(json_records(folder / f"{name}.jsonl")) for name in ("corpus", "queries")}
    passages, asked = map(_passage, records["corpus"]), [_query(record) for record in records["queries"]]
    kept = table(passages, PASSAGE_COLUMNS)
    places = {split: list(_judgements(path)) for split, path in split_files(folder / "qrels", [".tsv"]).items()}
    known = {row["id"] for row in asked}, set(kept["id"][:])
    grades, notes = settled(chain.from_iterable(places.values()), *known)
    judged = {split: [j.query for j in found if j.query in grades] for split, found in places.items()}
    split_of = assign_splits(judged, params, str(folder / "qrels"))
    rows = [{**q, "set": folder.name, "split": split_of[q["id"]]} for q in asked if q["id"] in split_of]
    ignored, told = identical(
        {id: item for id, item in _items(records["queries"]) if id in split_of}, dict(_items(records["corpus"])), grades
    )
    return Task(
        KnowledgeBase(kept, folder / "images", pinned(folder.name, kept)),
        table(rows, QUERY_COLUMNS),
        Qrels(grades),
        unjudged=len(asked) - len(rows),
        ignore_identical_ids=ignored,
        notes=(*notes, *told),
    )


def _passage(record: Record) -> Row:
    optional = {key: record.optional(key) for key in ("title", "image", "entity", "topic")}
    return {"id": record.id("_id"), "text": record.text("text"), **optional}


def _query(record: Record) -> Row:
    optional = {key: record.optional(key) for key in ("image", "entity")}
    return {"id": record.id("_id"), "text": record.text("text"), **optional}


def _judgements(path: Path) -> Iterator[Judgement]:
    for record in tsv_records(path, QRELS_COLUMNS):
        yield Judgement(record.where, record.id("query-id"), record.id("corpus-id"), record.number("score"))


def _items(records: Iterable[Record]) -> Iterator[tuple[str, Item]]:
    for record in records:
        yield record.id("_id"), Item(record.where, f"{record.optional('title')} {record.text('text')}")

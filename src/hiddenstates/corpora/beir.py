"""A folder in BEIR's layout (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/<split>.tsv, and images/."""

from pathlib import Path

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Row, Task, pinned, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Corpus
from hiddenstates.core.relevance import Qrels
from hiddenstates.corpora.reading import Record, json_records, tsv_records
from hiddenstates.corpora.splits import assign_splits, split_files

QRELS_COLUMNS = ("query-id", "corpus-id", "score")


def is_beir(folder: Path) -> bool:
    return (folder / "corpus.jsonl").is_file()


def load_beir(folder: Path, params: Corpus) -> Task:
    """The folder as a task of one query set, named after the folder; queries that no split judges are left out."""
    passages = table(map(_passage, json_records(folder / "corpus.jsonl")), PASSAGE_COLUMNS)
    grades = {split: _grades(path) for split, path in split_files(folder / "qrels", [".tsv"]).items()}
    split_of = assign_splits({split: list(rows) for split, rows in grades.items()}, params, str(folder / "qrels"))
    asked = [_query(record) for record in json_records(folder / "queries.jsonl")]
    judged = [{**q, "set": folder.name, "split": split_of[q["id"]]} for q in asked if q["id"] in split_of]
    return Task(
        KnowledgeBase(passages, folder / "images", pinned(folder.name, passages)),
        table(judged, QUERY_COLUMNS),
        Qrels({query: row for rows in grades.values() for query, row in rows.items()}),
        unjudged=len(asked) - len(judged),
    )


def _passage(record: Record) -> Row:
    optional = {key: record.optional(key) for key in ("title", "image", "entity", "topic")}
    return {"id": record.id("_id"), "text": record.text("text"), **optional}


def _query(record: Record) -> Row:
    optional = {key: record.optional(key) for key in ("image", "entity")}
    return {"id": record.id("_id"), "text": record.text("text"), **optional}


def _grades(path: Path) -> dict[str, dict[str, float]]:
    """query id -> {passage id: grade} of one qrels file."""
    rows: dict[str, dict[str, float]] = {}
    for record in tsv_records(path, QRELS_COLUMNS):
        query, passage, grade = record.id("query-id"), record.id("corpus-id"), record.number("score")
        if grade < 0:
            raise LabError(f"{record.where}: grade {grade:g} is negative. Use 0 for what is not relevant.")
        if rows.setdefault(query, {}).setdefault(passage, grade) != grade:
            raise LabError(f"{record.where}: query {query!r} and passage {passage!r} have two grades. Keep one.")
    return rows

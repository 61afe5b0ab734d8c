"""A folder in BEIR's layout (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/<split>.tsv, and images/."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from hiddenstates.core.bars import bar
from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Row, Task, pinned, table
from hiddenstates.core.params import Corpus
from hiddenstates.core.relevance import Qrels
from hiddenstates.corpora.checks import check_passages
from hiddenstates.corpora.judgements import Asked, Judgement, identical, settled
from hiddenstates.corpora.reading import Record, json_records, tsv_records
from hiddenstates.corpora.splits import assign_splits, split_files

QRELS_COLUMNS = ("query-id", "corpus-id", "score")


def is_beir(folder: Path) -> bool:
    return (folder / "corpus.jsonl").is_file()


def load_beir(folder: Path, params: Corpus) -> Task:
    """The folder as a task of one query set, named after the folder; queries that no split judges are left out.

    What its judgements say that cannot be taken as it is written, a note of the task tells.
    """
    read = bar(json_records(folder / "corpus.jsonl"), "passages", unit="passage")
    passages = table((passage_row(record, record.id("_id")) for record in read), PASSAGE_COLUMNS)
    check_passages(passages, str(folder))
    asked = [(record.where, _query(record)) for record in json_records(folder / "queries.jsonl")]
    found = {split: list(_judgements(path)) for split, path in split_files(folder / "qrels", [".tsv"]).items()}
    judgements = list(chain.from_iterable(found.values()))
    kb = KnowledgeBase(passages, folder / "images", pinned(folder.name, passages))
    grades, notes = settled(judgements, {row["id"] for _, row in asked}, kb.places({j.passage for j in judgements}))
    judged = {split: [j.query for j in rows if j.query in grades] for split, rows in found.items()}
    split_of = assign_splits(judged, params, str(folder / "qrels"))
    kept = [{**row, "set": folder.name, "split": split_of[row["id"]]} for _, row in asked if row["id"] in split_of]
    texts = {row["id"]: Asked(where, row["text"]) for where, row in asked if row["id"] in split_of}
    ignored, told = identical(texts, kb.rows(texts).values(), grades)
    return Task(
        kb,
        table(kept, QUERY_COLUMNS),
        Qrels(grades),
        unjudged=len(asked) - len(kept),
        ignore_identical_ids=ignored,
        notes=(*notes, *told),
    )


def passage_row(record: Record, id: str) -> Row:
    """A record of corpus.jsonl as a row of a knowledge base."""
    optional = {key: record.optional(key) for key in ("title", "image", "topic")}
    return {"id": id, "text": record.text("text"), "entity": record.optional_id("entity"), **optional}


def _query(record: Record) -> Row:
    optional = {"image": record.optional("image"), "entity": record.optional_id("entity")}
    return {"id": record.id("_id"), "text": record.text("text"), **optional}


def _judgements(path: Path) -> Iterator[Judgement]:
    for record in tsv_records(path, QRELS_COLUMNS):
        yield Judgement(record.where, record.id("query-id"), record.id("corpus-id"), record.number("score"))

"""A passage dataset and a query dataset in Hugging Face's format; params say which column is what."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from hiddenstates.core.bars import bar
from hiddenstates.core.data import (
    PASSAGE_COLUMNS,
    QUERY_COLUMNS,
    Dataset,
    KnowledgeBase,
    Task,
    open_dataset,
    pinned,
    table,
)
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import ArticleColumns, Corpus, HuggingFace, PassageColumns, QueryColumns
from hiddenstates.core.paths import ROOT
from hiddenstates.core.relevance import Qrels
from hiddenstates.corpora.checks import check_passages
from hiddenstates.corpora.judgements import Asked, Judgement, identical, settled
from hiddenstates.corpora.reading import Record
from hiddenstates.corpora.splits import assign_splits

REQUIRED = ("id", "text", "relevant", "article")  # the other columns may hold null

AnyColumns = ArticleColumns | PassageColumns | QueryColumns


@dataclass
class _Pictures:
    """Takes the pictures that datasets hold themselves. written, named: images found as pictures, as names of files"""

    folder: Path
    written: int = 0
    named: int = 0

    def name(self, record: Record, column: str) -> str:
        """The name of the row's image; of a picture, its bytes' hash, under which it is written into the folder."""
        value = record.values[column]
        if not isinstance(value, Mapping):
            self.named += bool(name := record.optional(column))
            return name
        content, path = value.get("bytes"), value.get("path")
        if not isinstance(content, bytes):
            raise LabError(f"{record.where}: the picture {path!r} is not in the dataset. Save it with its pictures.")
        self.written += 1
        name = hashlib.sha256(content).hexdigest()[:32] + PurePath(path or "").suffix
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)
        return name

    def root(self, section: HuggingFace) -> Path:
        """The folder that all the names are relative to."""
        if self.written and self.named:
            raise LabError(
                "corpus.huggingface: one image column holds pictures, another names of files. Make both of one kind."
            )
        return self.folder if self.written else ROOT / section.images


@dataclass
class _Articles:
    """What the passages are parts of. last: the row that was read last, and what it says; passages come in order"""

    name: str
    rows: Dataset
    columns: ArticleColumns
    pictures: _Pictures
    last: tuple[int, dict[str, str]] = (-1, {})

    def of(self, passage: Record, column: str) -> dict[str, str]:
        """What the passage's article says. LabError where there is no such row."""
        row = int(passage.number(column))
        if not 0 <= row < len(self.rows):
            raise LabError(
                f'{passage.where}: "{column}" is {row}, and {self.name} has {len(self.rows)} rows, from 0. '
                "Name the articles that these passages were made of."
            )
        if row != self.last[0]:
            self.last = row, _optional(Record(f"{self.name}, row {row}", self.rows[row]), self.columns, self.pictures)
        return self.last[1]


def load_huggingface(params: Corpus, folder: Path) -> Task:
    """The two datasets as a task of one query set, named after the query dataset; grades are 1.

    Queries whose list of relevant passages is empty are left out. Pictures that the datasets hold are written under
    `folder / "images"`.
    """
    section = params.huggingface
    if section is None:
        raise LabError(
            'corpus.source is "huggingface", but there is no section corpus.huggingface. '
            "Name the datasets and their columns there, as docs/own-data.md shows."
        )
    pictures = _Pictures(folder / "images")
    passages = table(bar(_passages(section, pictures), "passages", unit="passage"), PASSAGE_COLUMNS)
    check_passages(passages, section.passages)
    asked = list(_queries(section, pictures))
    found = [Judgement(where, row["id"], passage, 1.0) for where, row, relevant in asked for passage in relevant]
    kb = KnowledgeBase(passages, pictures.root(section), pinned(section.passages, passages))
    grades, notes = settled(found, {row["id"] for _, row, _ in asked}, kb.places({j.passage for j in found}))
    judged = [(where, row) for where, row, _ in asked if row["id"] in grades]
    ids: dict[str, list[str]] = {}
    for _, row in judged:
        ids.setdefault(row["split"], []).append(row["id"])
    split_of = assign_splits(ids, params, section.queries)
    texts = {row["id"]: Asked(where, row["text"]) for where, row in judged}
    ignored, told = identical(texts, kb.rows(texts).values(), grades)
    return Task(
        kb,
        table(({**row, "split": split_of[row["id"]]} for _, row in judged), QUERY_COLUMNS),
        Qrels(grades),
        unjudged=len(asked) - len(judged),
        ignore_identical_ids=ignored,
        notes=(*notes, *told),
    )


def _passages(section: HuggingFace, pictures: _Pictures) -> Iterator[dict[str, str]]:
    columns, articles = section.passage_columns, _articles(section, pictures)
    for i, record in enumerate(_records(section.passages, None, section.passages_revision, columns)):
        row = _row(record, columns, str(i), pictures)
        if articles and columns.article:
            row = _joined(row, articles.of(record, columns.article))
        yield row


def _joined(passage: dict[str, str], article: dict[str, str]) -> dict[str, str]:
    """The passage's own words count more. A title that its text begins with, as ViQuAE's do, is not encoded twice."""
    title = article.get("title") if not passage.get("title") else None
    text = passage["text"].removeprefix(f"{title} ") if title else passage["text"]
    return article | {key: value for key, value in passage.items() if value} | {"text": text}


def _articles(section: HuggingFace, pictures: _Pictures) -> _Articles | None:
    if not section.articles or not section.article_columns:
        return None
    rows = _columns(section.articles, None, section.articles_revision, section.article_columns, "article_columns")
    return _Articles(section.articles, rows, section.article_columns, pictures)


def _queries(section: HuggingFace, pictures: _Pictures) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """Where each query of each split stands, the query, and the ids of its relevant passages."""
    columns = section.query_columns
    query_set = Path(section.queries).name
    for name, split in section.splits.items():
        for i, record in enumerate(_records(section.queries, name, section.queries_revision, columns)):
            row = _row(record, columns, f"{name}-{i}", pictures)
            yield record.where, {**row, "set": query_set, "split": split}, record.ids(columns.relevant)


def _records(name: str, split: str | None, revision: str | None, columns: AnyColumns) -> Iterator[Record]:
    """The named columns of each row; rows count from 0, as ids that are row numbers do."""
    where = f"{name}, {split} row" if split else f"{name}, row"
    for i, values in enumerate(_columns(name, split, revision, columns, "passage_columns and query_columns")):
        yield Record(f"{where} {i}", values)


def _columns(name: str, split: str | None, revision: str | None, columns: AnyColumns, keys: str) -> Dataset:
    """The named columns of the dataset. keys: which name them"""
    dataset = open_dataset(name, split, revision)
    wanted = sorted({column for _, column in columns if column})
    missing = [column for column in wanted if column not in dataset.column_names]
    if missing:
        raise LabError(
            f"{name}: no column {', '.join(missing)} among {', '.join(dataset.column_names)}. "
            f"Set corpus.huggingface.{keys}."
        )
    return dataset.select_columns(wanted)


def _row(record: Record, columns: PassageColumns | QueryColumns, number: str, pictures: _Pictures) -> dict[str, str]:
    """The record under our names; its number stands in for an id where there is no such column."""
    optional = _optional(record, columns, pictures)
    return {"id": record.id(columns.id) if columns.id else number, "text": record.text(columns.text), **optional}


def _optional(record: Record, columns: AnyColumns, pictures: _Pictures) -> dict[str, str]:
    readers = {"image": pictures.name, "entity": Record.optional_id}
    return {
        key: readers.get(key, Record.optional)(record, column)
        for key, column in columns
        if column and key not in REQUIRED
    }

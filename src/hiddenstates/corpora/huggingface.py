"""A passage dataset and a query dataset in Hugging Face's format; params say which column is what."""

from collections.abc import Iterator
from pathlib import Path

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, open_dataset, pinned, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Corpus, HuggingFace, PassageColumns, QueryColumns
from hiddenstates.core.paths import ROOT
from hiddenstates.core.relevance import Qrels
from hiddenstates.corpora.reading import Record
from hiddenstates.corpora.splits import assign_splits

REQUIRED = ("id", "text", "relevant")  # the other columns may hold null


def load_huggingface(params: Corpus) -> Task:
    """The two datasets as a task of one query set, named after the query dataset; grades are 1.

    Queries whose list of relevant passages is empty are left out.
    """
    section = params.huggingface
    if section is None:
        raise LabError(
            'corpus.source is "huggingface", but there is no section corpus.huggingface. '
            "Name the datasets and their columns there, as docs/own-data.md shows."
        )
    passages = table(_passages(section), PASSAGE_COLUMNS)
    asked = list(_queries(section))
    judged = [(row, relevant) for row, relevant in asked if relevant]
    ids: dict[str, list[str]] = {}
    for row, _ in judged:
        ids.setdefault(row["split"], []).append(row["id"])
    split_of = assign_splits(ids, params, section.queries)
    return Task(
        KnowledgeBase(passages, ROOT / section.images, pinned(section.passages, passages)),
        table(({**row, "split": split_of[row["id"]]} for row, _ in judged), QUERY_COLUMNS),
        Qrels({row["id"]: dict.fromkeys(relevant, 1.0) for row, relevant in judged}),
        unjudged=len(asked) - len(judged),
    )


def _passages(section: HuggingFace) -> Iterator[dict[str, str]]:
    columns = section.passage_columns
    for i, record in enumerate(_records(section.passages, None, section.passages_revision, columns)):
        yield _row(record, columns, str(i))


def _queries(section: HuggingFace) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Each query of each split, and the ids of its relevant passages."""
    columns = section.query_columns
    query_set = Path(section.queries).name
    for name, split in section.splits.items():
        for i, record in enumerate(_records(section.queries, name, section.queries_revision, columns)):
            row = _row(record, columns, f"{name}-{i}")
            yield {**row, "set": query_set, "split": split}, record.ids(columns.relevant)


def _records(
    name: str, split: str | None, revision: str | None, columns: PassageColumns | QueryColumns
) -> Iterator[Record]:
    """The named columns of each row; rows count from 0, as ids that are row numbers do."""
    dataset = open_dataset(name, split, revision)
    wanted = sorted({column for _, column in columns if column})
    missing = [column for column in wanted if column not in dataset.column_names]
    if missing:
        raise LabError(
            f"{name}: no column {', '.join(missing)} among {', '.join(dataset.column_names)}. "
            "Set corpus.huggingface.passage_columns and query_columns."
        )
    where = f"{name}, {split} row" if split else f"{name}, row"
    for i, values in enumerate(dataset.select_columns(wanted)):
        yield Record(f"{where} {i}", values)


def _row(record: Record, columns: PassageColumns | QueryColumns, number: str) -> dict[str, str]:
    """The record under our names; its number stands in for an id where there is no such column."""
    optional = {key: record.optional(column) for key, column in columns if column and key not in REQUIRED}
    return {"id": record.id(columns.id) if columns.id else number, "text": record.text(columns.text), **optional}

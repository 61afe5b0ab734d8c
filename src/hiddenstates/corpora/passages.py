"""Passages by themselves, without queries or judgements: to be searched, not to choose by."""

from collections.abc import Iterable
from pathlib import Path

from hiddenstates.core.bars import bar
from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, Row, Task, open_dataset, pinned, table
from hiddenstates.core.errors import LabError
from hiddenstates.corpora.beir import passage_row
from hiddenstates.corpora.checks import check_passages
from hiddenstates.corpora.reading import Record, json_records, lines


def read_passages(path: Path) -> KnowledgeBase:
    """The passages of a folder or file.

    path: a folder in BEIR's layout (its corpus.jsonl), or a task that the stage `corpus` left; a .txt file, one
          passage per line; or JSONL, CSV, Parquet or a dataset saved on disk, with the column `text` and perhaps `id`
          or `_id`, `title`, `image`, `entity`, `topic`. Without ids, rows are numbered from 0

    Raises LabError that names the file, the row and the way out.
    """
    if not path.exists():
        raise LabError(f"{path}: no such file or folder. Name the passages to index.")
    if (path / "task.json").is_file():
        return Task.load(path).kb
    passages = table(bar(_rows(path), "passages", unit="passage"), PASSAGE_COLUMNS)
    check_passages(passages, str(path))
    return KnowledgeBase(passages, path / "images", pinned(path.stem, passages))


def _rows(path: Path) -> Iterable[Row]:
    if path.suffix == ".txt":
        return ({"id": str(i), "text": line} for i, (_, line) in enumerate(lines(path)))
    file = path / "corpus.jsonl" if path.is_dir() else path
    if file.suffix == ".jsonl" and file.is_file():
        return (_row(record, i) for i, record in enumerate(json_records(file)))
    found = open_dataset(str(path.absolute()), None, None)
    return (_row(Record(f"{path}, row {i}", row), i) for i, row in enumerate(found))


def _row(record: Record, number: int) -> Row:
    key = next((key for key in ("_id", "id") if key in record.values), None)
    return passage_row(record, record.id(key) if key else str(number))

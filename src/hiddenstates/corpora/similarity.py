"""Sentence pairs with a score, one TSV or JSONL file a split: how well does the cosine follow the score?"""

from pathlib import Path

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, pinned, table
from hiddenstates.core.params import Corpus
from hiddenstates.core.relevance import Qrels
from hiddenstates.corpora.reading import Record, json_records, tsv_records
from hiddenstates.corpora.splits import SPLIT_OF_NAME, assign_splits, split_files

COLUMNS = ("sentence1", "sentence2", "score")
SUFFIXES = (".tsv", ".jsonl")


def is_similarity(folder: Path) -> bool:
    return any((folder / f"{name}{suffix}").is_file() for name in SPLIT_OF_NAME for suffix in SUFFIXES)


def load_similarity(folder: Path, params: Corpus) -> Task:
    """Each pair as a query (sentence1) and a passage (sentence2) of one id: its split file and line, as in `dev-17`."""
    pairs = {split: _pairs(split, path) for split, path in split_files(folder, SUFFIXES).items()}
    split_of = assign_splits({split: list(records) for split, records in pairs.items()}, params, str(folder))
    records = {pair: record for split in pairs.values() for pair, record in split.items()}
    passages = table(({"id": i, "text": r.text("sentence2")} for i, r in records.items()), PASSAGE_COLUMNS)
    queries = (
        {"id": i, "text": r.text("sentence1"), "set": folder.name, "split": split_of[i]} for i, r in records.items()
    )
    return Task(
        KnowledgeBase(passages, folder / "images", pinned(folder.name, passages)),
        table(queries, QUERY_COLUMNS),
        Qrels({i: {i: r.number("score")} for i, r in records.items()}),
        measure="similarity",
    )


def _pairs(split: str, path: Path) -> dict[str, Record]:
    """pair id -> record of one file."""
    records = tsv_records(path, COLUMNS) if path.suffix == ".tsv" else json_records(path)
    return {f"{split}-{record.where.rpartition(':')[2]}": record for record in records}

"""What is searched and what is asked: `KnowledgeBase` and `Task`. The one door to the `datasets` package."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
from datasets import Dataset, Features, Value
from datasets.utils import disable_progress_bars

from hiddenstates.relevance import Qrels

PASSAGE_COLUMNS = ("id", "entity", "title", "text", "image", "topic")
QUERY_COLUMNS = ("id", "set", "split", "text", "image", "template", "entity", "view")
SPLITS = ("train", "dev", "test")

Row = Mapping[str, Any]
disable_progress_bars()  # its bars end up in executed notebooks, and nothing here maps for long


@dataclass(frozen=True)
class KnowledgeBase:
    """The passages to search, one row each, keyed on `id`.

    passages: columns `PASSAGE_COLUMNS`, all strings; "" where a source has nothing to say
    images:   the folder that the image names are relative to
    revision: what pins the content: the source's name and a hash, or a hub revision
    """

    passages: Dataset
    images: Path
    revision: str

    @property
    def ids(self) -> list[str]:
        return list(self.passages["id"])

    def texts(self) -> list[str]:
        """What is encoded of each passage: title and text, as BEIR does (Thakur et al. 2021)."""
        return [f"{t} {x}".strip() for t, x in zip(self.passages["title"], self.passages["text"], strict=True)]


@dataclass(frozen=True)
class Task:
    """A knowledge base, the queries asked of it, and what counts as found.

    queries: columns `QUERY_COLUMNS`, all strings; `set` names the kind of question, `split` one of `SPLITS`
    measure: "retrieval" ranks every passage; "similarity" correlates the cosine with the grade of each judged pair
    """

    kb: KnowledgeBase
    queries: Dataset
    qrels: Qrels
    measure: Literal["retrieval", "similarity"] = "retrieval"

    @property
    def sets(self) -> list[str]:
        """The kinds of question, in the order in which they first appear."""
        return list(dict.fromkeys(self.queries["set"]))

    def select(self, *, set: str | None = None, split: str | None = None) -> "Task":
        """The same task with only the queries of this set and split."""
        wanted = [
            i
            for i, (s, p) in enumerate(zip(self.queries["set"], self.queries["split"], strict=True))
            if set in (None, s) and split in (None, p)
        ]
        queries = self.queries.select(wanted)
        return replace(self, queries=queries, qrels=self.qrels.select(queries["id"]))

    def save(self, folder: Path) -> None:
        """Write passages.parquet, queries.parquet, qrels.trec and task.json; images stay in `kb.images`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.kb.passages.to_parquet(folder / "passages.parquet")
        self.queries.to_parquet(folder / "queries.parquet")
        self.qrels.write(folder / "qrels.trec")
        inside = self.kb.images.is_relative_to(folder)
        images = self.kb.images.relative_to(folder) if inside else self.kb.images.resolve()
        about = {"measure": self.measure, "revision": self.kb.revision, "images": str(images)}
        (folder / "task.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Task":
        """What `save` wrote."""
        about = json.loads((folder / "task.json").read_text(encoding="utf-8"))
        passages = _read_parquet(folder / "passages.parquet")
        kb = KnowledgeBase(passages, folder / about["images"], about["revision"])
        qrels = Qrels.read(folder / "qrels.trec")
        queries = _read_parquet(folder / "queries.parquet")
        return cls(kb, queries, qrels.select(queries["id"]), about["measure"])


def table(rows: Iterable[Row], columns: tuple[str, ...]) -> Dataset:
    """Rows as a dataset of exactly these string columns; "" where a row has no such key."""
    filled = [{c: str(row.get(c, "")) for c in columns} for row in rows]
    return Dataset.from_list(filled, features=Features({c: Value("string") for c in columns}))


def open_dataset(name: str, split: str | None, revision: str | None) -> Dataset:
    """A Hugging Face dataset by hub name, or by the local path that `save_to_disk` wrote. No remote code."""
    raise NotImplementedError


def _read_parquet(path: Path) -> Dataset:
    # not Dataset.from_parquet: that copies the file into ~/.cache and believes the copy
    return Dataset(pq.read_table(path))

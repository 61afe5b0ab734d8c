"""What is searched and what is asked: `KnowledgeBase` and `Task`. The one door to the `datasets` package."""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, Features, Image, Value, load_dataset, load_from_disk
from datasets.exceptions import DatasetsError
from datasets.utils import disable_progress_bars
from pydantic import BaseModel

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import read_as
from hiddenstates.core.paths import ROOT, out_folder
from hiddenstates.core.relevance import Qrels, Run

PASSAGE_COLUMNS = ("id", "entity", "title", "text", "image", "topic")
QUERY_COLUMNS = ("id", "set", "split", "text", "image", "template", "entity", "view")
SPLITS = ("train", "dev", "test")
MISSING = "no such file"
"""The fault of an image that is not there."""

AT_ONCE = 65_536
"""Rows that are in memory at once; a table of more is read from disk when it is looked at."""

FEW = 2
"""Relevant passages per query, of which finding the first is what counts."""

Row = Mapping[str, Any]
disable_progress_bars()  # its bars end up in executed notebooks, and nothing here maps for long


class _About(BaseModel):
    """What task.json says."""

    measure: Literal["retrieval", "similarity"]
    revision: str
    images: str
    unjudged: int
    ignore_identical_ids: bool
    notes: list[str]
    faults: dict[str, str]


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
        return list(self.passages["id"][:])  # a slice comes at once, an iteration row by row

    def texts(self) -> list[str]:
        """What is encoded of each passage: title and text, as BEIR does (Thakur et al. 2021)."""
        return [f"{t} {x}".strip() for t, x in zip(self.passages["title"][:], self.passages["text"][:], strict=True)]


@dataclass(frozen=True)
class Task:
    """A knowledge base, the queries asked of it, and what counts as found.

    queries: columns `QUERY_COLUMNS`, all strings; `set` names the kind of question, `split` one of `SPLITS`
    measure: "retrieval" ranks every passage; "similarity" correlates the cosine with the grade of each judged pair
    unjudged: how many queries of the source were left out, because nothing says what they should find
    ignore_identical_ids: whether a query is a passage itself, under the same id, which it must not find (`searched`)
    notes:    what was left out of the source, or taken otherwise than it is written; a sentence each
    faults:   name of an image that no row has any more -> `MISSING`, or why it cannot be read
    """

    kb: KnowledgeBase
    queries: Dataset
    qrels: Qrels
    measure: Literal["retrieval", "similarity"] = "retrieval"
    unjudged: int = 0
    ignore_identical_ids: bool = False
    notes: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def sets(self) -> list[str]:
        """The kinds of question, in the order in which they first appear."""
        return list(dict.fromkeys(self.queries["set"][:]))

    @property
    def default_measure(self) -> str:
        """What chooses between strategies unless params say otherwise; it follows from the judgements.

        Sentence pairs: spearman. Retrieval: mrr@10, which sees the first passage found, where in most query sets most
        queries have no more than `FEW` relevant ones, all of one grade; else ndcg@10, which sees them all, and their
        grades. Sets weigh the same, as they do in the choice.
        """
        if self.measure == "similarity":
            return "spearman"
        one = [self.select(set=name)._asks_for_one for name in self.sets]
        return "mrr@10" if 2 * sum(one) > len(one) else "ndcg@10"

    @property
    def _asks_for_one(self) -> bool:
        """Whether the first relevant passage is what counts: most queries have few, and none is better than another."""
        relevant = [[grade for grade in row.values() if grade > 0] for row in self.qrels.rows.values()]
        graded = len({grade for row in relevant for grade in row}) > 1
        return not graded and median([len(row) for row in relevant if row] or [1]) <= FEW

    def select(self, *, set: str | None = None, split: str | None = None) -> "Task":
        """The same task with only the queries of this set and split."""
        wanted = [
            i
            for i, (s, p) in enumerate(zip(self.queries["set"][:], self.queries["split"][:], strict=True))
            if set in (None, s) and split in (None, p)
        ]
        queries = self.queries.select(wanted)
        return replace(self, queries=queries, qrels=self.qrels.select(queries["id"][:]))

    def of_splits(self, *splits: str) -> "Task":
        """The same task with only the queries of these splits."""
        wanted = [i for i, split in enumerate(self.queries["split"][:]) if split in splits]
        queries = self.queries.select(wanted)
        return replace(self, queries=queries, qrels=self.qrels.select(queries["id"][:]))

    def searched(self, search: Callable[[int], Run], depth: int) -> Run:
        """The `depth` best passages of each query, never the query itself where ids say that it is one.

        As BEIR's evaluator does (`ignore_identical_ids`): a passage under the query's own id is no answer. Every search
        of the task's queries goes through here.

        search: what gives so many passages of each query, best first
        """
        if not self.ignore_identical_ids:
            return search(depth)
        found = search(depth + 1).rows.items()
        return Run({q: dict([(p, score) for p, score in row.items() if p != q][:depth]) for q, row in found})

    def within(self, passages: Collection[str], queries: Collection[str]) -> "Task":
        """The same task with only these passages and queries; without a query that then has nothing to find."""
        wanted = set(passages)
        kept = self.kb.passages.select([i for i, id in enumerate(self.kb.ids) if id in wanted])
        ids = set(kept["id"][:])
        qrels = {q: {p: g for p, g in self.qrels[q].items() if p in ids} for q in queries}
        asked = [i for i, id in enumerate(self.queries["id"][:]) if qrels.get(id)]
        found = self.queries.select(asked)
        return replace(
            self, kb=replace(self.kb, passages=kept), queries=found, qrels=Qrels(qrels).select(found["id"][:])
        )

    def clusters(self) -> dict[str, list[str]]:
        """Queries that are not independent, by what they share: their entity (else none), and their template."""
        entities = [e or i for e, i in zip(self.queries["entity"], self.queries["id"], strict=True)]
        templates = list(self.queries["template"])
        return {"entity": entities} | ({"template": templates} if any(templates) else {})

    def save(self, folder: Path) -> None:
        """Write passages.parquet, queries.parquet, qrels.trec and task.json; images stay in `kb.images`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.kb.passages.to_parquet(folder / "passages.parquet")
        self.queries.to_parquet(folder / "queries.parquet")
        self.qrels.write(folder / "qrels.trec")
        inside = self.kb.images.is_relative_to(folder)
        images = self.kb.images.relative_to(folder) if inside else self.kb.images.resolve()
        about = {
            "measure": self.measure,
            "revision": self.kb.revision,
            "images": str(images),
            "unjudged": self.unjudged,
            "ignore_identical_ids": self.ignore_identical_ids,
            "notes": list(self.notes),
            "faults": dict(self.faults),
        }
        (folder / "task.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Task":
        """What `save` wrote."""
        try:
            about = read_as(_About, (folder / "task.json").read_bytes())
            passages = _read_parquet(folder / "passages.parquet", PASSAGE_COLUMNS)
            queries = _read_parquet(folder / "queries.parquet", QUERY_COLUMNS)
            _check_names({*passages["image"][:], *queries["image"][:]})
            kb = KnowledgeBase(passages, folder / about.images, about.revision)
            qrels = Qrels.read(folder / "qrels.trec").select(queries["id"])
            said = (about.measure, about.unjudged, about.ignore_identical_ids, tuple(about.notes), about.faults)
            return cls(kb, queries, qrels, *said)
        except (OSError, ValueError) as error:
            raise LabError(f"{folder}: no task can be read from it ({error}). Run the stage `corpus` again.") from error


def table(rows: Iterable[Row], columns: tuple[str, ...]) -> Dataset:
    """Rows as a dataset of exactly these string columns; "" where a row has no such key."""
    schema = _strings(columns).arrow_schema
    return Dataset(_kept((_batch(some, columns, schema) for some in _by(AT_ONCE, rows)), schema))


def _batch(rows: Iterable[Row], columns: tuple[str, ...], schema: pa.Schema) -> pa.RecordBatch:
    values = [[str(row.get(column, "")) for row in rows] for column in columns]
    return pa.record_batch([pa.array(each, pa.string()) for each in values], schema=schema)


def _by(size: int, rows: Iterable[Row]) -> Iterator[list[Row]]:
    every = iter(rows)
    while some := list(islice(every, size)):
        yield some


def _kept(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The batches as one table: one alone in memory, more of them in a file without a name, whose pages may go."""
    first = list(islice(every := iter(batches), 1))
    second = next(every, None)
    if second is None:
        return pa.Table.from_batches(first, schema)
    place = out_folder() if out_folder().is_dir() else None  # what the system calls temporary may itself be memory
    with tempfile.NamedTemporaryFile(dir=place, prefix=".table-") as file:
        with pa.ipc.new_stream(file, schema) as writer:
            for batch in chain(first, [second], every):
                writer.write_batch(batch)
        file.flush()
        return pa.ipc.open_stream(pa.memory_map(file.name)).read_all()


def pinned(name: str, passages: Dataset) -> str:
    """A revision for passages that have none of their own: `name@` and a hash of every row."""
    digest = hashlib.sha256()
    for batch in passages.iter(1000):
        digest.update(json.dumps(batch).encode())
    return f"{name}@{digest.hexdigest()[:12]}"


def open_dataset(name: str, split: str | None, revision: str | None) -> Dataset:
    """One split of a Hugging Face dataset in plain values, nested columns flat with dotted names (`output.answer`).

    A picture is a dict of its file's `bytes` and `path`, either of them None.

    name:     a path under the repository or absolute (a folder that `save_to_disk` wrote, or JSONL, CSV or Parquet),
              else a name on the hub; no code of a dataset is ever run
    split:    None where there is only one
    revision: the commit that pins a hub name
    """
    found = _open_local(ROOT / name) if (ROOT / name).exists() else _open_hub(name, revision)
    splits = dict(found) if isinstance(found, DatasetDict) else {"train": found}  # the hub's name for the undivided
    if not splits:
        raise LabError(f"{name}: not one row in it. Save it again.")
    if split is None and len(splits) > 1:
        raise LabError(f"{name}: one split is wanted, not {', '.join(splits)}. Save the one you mean on its own.")
    if split is not None and split not in splits:
        raise LabError(f"{name}: no split {split!r}, only {', '.join(splits)}. Set corpus.huggingface.splits.")
    chosen = splits[split or next(iter(splits))].with_format(None).flatten()  # plain values, whatever it was saved with
    for column in [name for name, feature in chosen.features.items() if isinstance(feature, Image)]:
        chosen = chosen.cast_column(column, Image(decode=False))
    return chosen


def _open_local(path: Path) -> Dataset | DatasetDict:
    try:
        if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
            return load_from_disk(path)
        folder, files = (path, None) if path.is_dir() else (path.parent, path.name)
        with tempfile.TemporaryDirectory() as cache:  # not ~/.cache: a stale copy there would be believed
            return load_dataset(str(folder), data_files=files, cache_dir=cache, keep_in_memory=True)
    except Exception as error:  # each format's reader raises what it trips over
        raise LabError(f"{path}: not a readable dataset ({error.__cause__ or error}). Save it again.") from error


def _open_hub(name: str, revision: str | None) -> DatasetDict:
    if revision is None or not re.fullmatch("[0-9a-f]{40}", revision):
        raise LabError(
            f"{name}: no such path under {ROOT}, and as a hub name it is not pinned (revision {revision!r}). "
            "Correct the path, or set the revision to the 40 digits of a commit: a branch or a tag can move."
        )
    try:
        return load_dataset(name, revision=revision)
    except (OSError, ValueError, DatasetsError) as error:
        raise LabError(
            f"{name}: no such path under {ROOT}, and the hub did not give it ({error}). "
            "Correct the name, go online, or name a local copy."
        ) from error


def _read_parquet(path: Path, columns: tuple[str, ...]) -> Dataset:
    # not Dataset.from_parquet: that copies the file into ~/.cache and believes the copy
    with pq.ParquetFile(path) as file:
        found = Dataset(_kept(file.iter_batches(AT_ONCE), file.schema_arrow))
    if found.features != _strings(columns):
        raise ValueError(f"{path.name} has the columns {found.features}, not {', '.join(columns)}, all strings")
    return found


def _check_names(images: Iterable[str]) -> None:
    for name in images:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"image {name!r} leaves the images folder")


def _strings(columns: tuple[str, ...]) -> Features:
    return Features({c: Value("string") for c in columns})

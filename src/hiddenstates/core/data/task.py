"""What is searched and what is asked: `KnowledgeBase` and `Task`."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Literal

from datasets import Dataset
from pydantic import BaseModel

from hiddenstates.core.data.tables import Row, parts, places, read_table
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import read_as
from hiddenstates.core.relevance import Qrels, Run

PASSAGE_COLUMNS = ("id", "entity", "title", "text", "image", "topic")
QUERY_COLUMNS = ("id", "set", "split", "text", "image", "template", "entity", "view")
SPLITS = ("train", "dev", "test")
MISSING = "no such file"
"""The fault of an image that is not there."""

FEW = 2
"""Relevant passages per query, of which finding the first is what counts."""


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
        """All of them in memory; of a large corpus, `places` or `parts` are to be asked."""
        return list(self.passages["id"][:])  # a slice comes at once, an iteration row by row

    def parts(self) -> "Iterator[KnowledgeBase]":
        """The same passages in order, so many at a time as are in memory at once."""
        return (replace(self, passages=part) for part in parts(self.passages))

    def places(self, ids: Collection[str]) -> dict[str, int]:
        """The row of each of these passages that is there."""
        return places(self.passages, ids)

    def rows(self, ids: Collection[str]) -> dict[str, Row]:
        """These passages, as far as they are there, by their ids."""
        found = self.places(ids)
        return dict(zip(found, self.passages.select(list(found.values())), strict=True))

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
    def judged(self) -> set[str]:
        """The passages that some query judges."""
        return {passage for query in self.qrels for passage in self.qrels[query]}

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

    def select(self, *, set: str | None = None, split: str | Collection[str] | None = None) -> "Task":
        """The same task with only the queries of this set and split, or of these splits."""
        splits = {split} if isinstance(split, str) else split
        of = zip(self.queries["set"][:], self.queries["split"][:], strict=True)
        wanted = [i for i, (s, p) in enumerate(of) if set in (None, s) and (splits is None or p in splits)]
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
        ids = self.kb.places(passages)
        kept = self.kb.passages.select(list(ids.values()))
        qrels = {q: {p: g for p, g in self.qrels[q].items() if p in ids} for q in queries}
        asked = [i for i, id in enumerate(self.queries["id"][:]) if qrels.get(id)]
        found = self.queries.select(asked)
        return replace(
            self, kb=replace(self.kb, passages=kept), queries=found, qrels=Qrels(qrels).select(found["id"][:])
        )

    def clusters(self) -> dict[str, list[str]]:
        """Queries that are not independent, by what they share: their entity (else none), and their template."""
        entities = [e or i for e, i in zip(self.queries["entity"][:], self.queries["id"][:], strict=True)]
        templates = list(self.queries["template"][:])
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
            passages = read_table(folder / "passages.parquet", PASSAGE_COLUMNS)
            queries = read_table(folder / "queries.parquet", QUERY_COLUMNS)
            for rows in (passages, queries):
                _check_names(image for part in parts(rows) for image in part["image"][:])
            kb = KnowledgeBase(passages, folder / about.images, about.revision)
            qrels = Qrels.read(folder / "qrels.trec").select(queries["id"][:])
            said = (about.measure, about.unjudged, about.ignore_identical_ids, tuple(about.notes), about.faults)
            return cls(kb, queries, qrels, *said)
        except (OSError, ValueError) as error:
            raise LabError(f"{folder}: no task can be read from it ({error}). Run the stage `corpus` again.") from error


def _check_names(images: Iterable[str]) -> None:
    for name in images:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"image {name!r} leaves the images folder")

"""The search of passages by their words, whether these are all in memory or come in parts."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64

from hiddenstates.core.relevance import Run

Scores = Float32[np.ndarray, "query passage"]
SCORES = 2**26
"""So many scores are in memory at once: 256 MB."""
IDS = 65_536
"""So many ids are in memory at once."""


@dataclass
class Top:
    """The best passages of each query among those that were added, largest score first; of equal ones the first.

    rows, scores: an array for each query
    """

    depth: int
    rows: list[np.ndarray] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)

    def add(self, first: int, scores: Scores) -> None:
        """The scores of further passages, whose rows begin with `first`; 0 where one shares no word with the query."""
        self.rows = self.rows or [np.empty(0, np.int64)] * len(scores)
        self.scores = self.scores or [np.empty(0, np.float32)] * len(scores)
        for query, line in enumerate(scores):
            shared = np.flatnonzero(line)  # of a large corpus, few passages share a word with the query
            rows = np.concatenate([self.rows[query], first + shared])
            values = np.concatenate([self.scores[query], line[shared]])
            best = np.argsort(-values, kind="stable")[: self.depth]
            self.rows[query], self.scores[query] = rows[best], values[best]


class WordSearch(ABC):
    """Passages that can be searched by their words."""

    ids: Sequence[str]

    @property
    @abstractmethod
    def at_once(self) -> int:
        """Passages whose scores come at once."""

    @abstractmethod
    def scored(self, texts: Sequence[str], own: Sequence[str] = ()) -> Iterator[tuple[int, Scores]]:
        """The scores of all passages, part by part in their order; with each part its first row.

        A score is 0 where the two share no word, and where a query is the passage itself. A word counts as often as it
        is asked. own: an id for each query, or none at all
        """

    def best(
        self,
        texts: Sequence[str],
        depth: int,
        own: Sequence[str] = (),
        wanted: Int64[np.ndarray, "query wanted"] | None = None,
    ) -> tuple[Top, Float32[np.ndarray, "query wanted"]]:
        """The `depth` best passages of each query, and the scores of the wanted rows; those of rows below 0 are 0."""
        top, wanted = Top(depth), np.empty((len(texts), 0), np.int64) if wanted is None else wanted
        known = np.zeros(wanted.shape, np.float32)
        for first, scores in self.scored(texts, own):
            top.add(first, scores)
            here = np.nonzero((first <= wanted) & (wanted < first + scores.shape[1]))
            known[here] = scores[here[0], wanted[here] - first]
        return top, known

    def run(self, queries: Sequence[str], texts: Sequence[str], depth: int) -> Run:
        """The `depth` best passages of each query; those that share no word with it are left out."""
        rows = {}
        for some in self.batches(len(queries)):
            top, _ = self.best(texts[some], depth)
            for query, places, scores in zip(queries[some], top.rows, top.scores, strict=True):
                rows[query] = {self.ids[i]: s for i, s in zip(places.tolist(), scores.tolist(), strict=True)}
        return Run(rows)

    def places(self, ids: Collection[str]) -> dict[str, int]:
        """The row of each of these passages that is there."""
        wanted = frozenset(ids)
        found: dict[str, int] = {}
        for first in range(0, len(self.ids) if wanted else 0, IDS):
            some = enumerate(self.ids[first : first + IDS], first)
            found |= {id: row for row, id in some if id in wanted}
        return found

    def batches(self, queries: int) -> Iterator[slice]:
        """So many queries at a time as memory has room for the scores of."""
        step = max(1, SCORES // max(1, self.at_once))
        return (slice(first, min(first + step, queries)) for first in range(0, queries, step))

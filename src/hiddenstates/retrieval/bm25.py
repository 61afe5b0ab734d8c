"""BM25, which knows words and nothing of meaning (Robertson & Zaragoza 2009), by the package bm25s.

Its defaults are Lucene's (k1 1.5, b 0.75). English words are stemmed by Snowball and stop words left out, as in the
figures that bm25s publishes (https://github.com/xhluca/bm25s).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, get_args

import bm25s
import numpy as np
import Stemmer
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from scipy.sparse import csc_array, csr_array

from hiddenstates.core.data import KnowledgeBase, Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import write_tensors
from hiddenstates.core.relevance import Run

Language = Literal[
    "danish", "dutch", "english", "french", "german", "italian", "norwegian", "portuguese", "russian", "spanish",
    "swedish", "turkish",
]  # fmt: skip
"""Those that have both a stemmer and a list of stop words."""

Scores = Float32[np.ndarray, "query passage"]
SCORES = 2**26
"""So many scores are in memory at once: 256 MB."""


@dataclass(frozen=True, eq=False)
class Words:
    """What each word adds to the score of each passage.

    weights:    [passage, word]
    vocabulary: word, as it is stemmed -> its column
    language:   whose stop words are left out, and whose endings are cut off; None: words count as they stand
    """

    ids: list[str]
    weights: csc_array
    vocabulary: dict[str, int]
    language: Language | None

    @classmethod
    def of(cls, kb: KnowledgeBase, language: Language | None = "english") -> "Words":
        """The words of these passages."""
        found = _tokens(kb.texts(), language)
        if not any(found):
            return cls(kb.ids, csc_array((len(kb.ids), 0), dtype=np.float32), {}, language)
        retriever = bm25s.BM25()
        retriever.index(found, show_progress=False, create_empty_token=False)
        vocabulary = {str(word): int(column) for word, column in retriever.vocab_dict.items()}
        parts = tuple(retriever.scores[part] for part in ("data", "indices", "indptr"))
        shape = (len(kb.ids), len(parts[2]) - 1)
        return cls(kb.ids, csc_array(parts, shape=shape, dtype=np.float32), vocabulary, language)

    def scores(self, texts: Sequence[str]) -> Scores:
        """The score of every passage for each text; 0 where the two share no word. A word counts as often as asked."""
        counts = [Counter(filter(self.vocabulary.__contains__, words)) for words in _tokens(texts, self.language)]
        columns = [self.vocabulary[word] for row in counts for word in row]
        data = np.array([n for row in counts for n in row.values()], dtype=np.float32)
        starts = np.cumsum([0, *map(len, counts)])
        asked = csr_array((data, columns, starts), shape=(len(texts), self.weights.shape[1]))
        found: Scores = (asked @ self.weights.T).toarray().astype(np.float32)
        return found

    def without(self, own: Sequence[str], scores: Scores) -> Scores:
        """The scores, 0 where a query is the passage itself. own: an id for each query, or none at all"""
        place = {id: i for i, id in enumerate(self.ids)} if own else {}
        for row, id in enumerate(own):
            if id in place:
                scores[row, place[id]] = 0.0
        return scores

    def run(self, queries: Sequence[str], texts: Sequence[str], depth: int) -> Run:
        """The `depth` best passages of each query; those that share no word with it are left out."""
        rows, at_once = {}, max(1, SCORES // max(1, len(self.ids)))
        for first in range(0, len(queries), at_once):
            found = self.scores(texts[first : first + at_once])
            for query, row in zip(queries[first : first + at_once], found, strict=True):
                rows[query] = {self.ids[i]: float(row[i]) for i in _best(row, depth) if row[i] > 0}
        return Run(rows)

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that change with any passage, word or number."""
        told = json.dumps([self.ids, self.vocabulary, self.language]).encode()
        parts = (self.weights.data, self.weights.indices, self.weights.indptr)
        return hashlib.sha256(told + b"".join(part.tobytes() for part in parts)).hexdigest()[:12]

    def save(self, path: Path) -> None:
        """A safetensors file; ids, words and language in its header."""
        tensors = {part: getattr(self.weights, part) for part in ("data", "indices", "indptr")}
        columns = list(self.vocabulary.values())
        about = {"ids": self.ids, "words": list(self.vocabulary), "columns": columns, "language": self.language}
        write_tensors(tensors, path, json.dumps(about))

    @classmethod
    def load(cls, path: Path) -> "Words":
        """What `save` wrote."""
        try:
            with safe_open(path, framework="numpy") as file:
                about = json.loads((file.metadata() or {})["about"])
                parts = tuple(file.get_tensor(part) for part in ("data", "indices", "indptr"))
            shape = (len(about["ids"]), len(about["words"]))
            vocabulary = dict(zip(about["words"], about["columns"], strict=True))
            return cls(about["ids"], csc_array(parts, shape=shape), vocabulary, about["language"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise LabError(f"{path}: no words can be read from it ({error}). Build the index again.") from error


def _best(scores: np.ndarray, depth: int) -> np.ndarray:
    """The places of the `depth` largest scores, largest first; of equal ones the first."""
    shared = np.flatnonzero(scores)  # of a large corpus, few passages share a word with the query
    best: np.ndarray = shared[np.argsort(-scores[shared], kind="stable")[:depth]]
    return best


def bm25_run(task: Task, depth: int, language: Language | None = "english") -> Run:
    """The `depth` best passages of each query; those that share no word with it are left out.

    For similarity, the score of each judged pair, 0 where the two share no word.
    """
    words, queries = Words.of(task.kb, language), task.queries["id"][:]
    if task.measure == "retrieval":
        return task.searched(partial(words.run, queries, task.queries["text"][:]), depth)
    row, found = {id: i for i, id in enumerate(words.ids)}, words.scores(task.queries["text"][:])
    return Run({q: {p: float(line[row[p]]) for p in task.qrels[q]} for q, line in zip(queries, found, strict=True)})


def fuse(cosines: np.ndarray, bm25: np.ndarray, weight: float) -> np.ndarray:
    """weight · cosine + (1 − weight) · BM25 / the query's best BM25, of each passage (last axis).

    BM25 has no upper bound; divided by its best, it weighs alike for short queries and long ones. A query that shares
    no word with any passage goes by the cosine alone.
    """
    best = bm25.max(-1, keepdims=True, initial=0.0)
    scaled = np.divide(bm25, best, out=np.zeros(bm25.shape), where=best > 0)
    found: np.ndarray = weight * cosines + (1 - weight) * scaled
    return found


def _tokens(texts: Sequence[str], language: Language | None) -> list[list[str]]:
    stemmer = Stemmer.Stemmer(language) if language else None
    found: list[list[str]] = bm25s.tokenize(
        list(texts), stopwords=language or [], stemmer=stemmer, return_ids=False, show_progress=False
    )
    return found


def language_named(name: str) -> Language | None:
    """The language of that name; None for `none`. LabError for one that has no stemmer or no stop words."""
    known: dict[str, Language] = {language: language for language in get_args(Language)}
    if name != "none" and name not in known:
        raise LabError(f"language {name!r}: choose {', '.join(known)}, or none.")
    return known.get(name)

"""The words of passages, all in memory: for any query, and to be saved beside an index."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import bm25s
import numpy as np
from safetensors import SafetensorError, safe_open
from scipy.sparse import csc_array

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import write_tensors
from hiddenstates.retrieval.bm25.searching import Scores, WordSearch
from hiddenstates.retrieval.bm25.texts import Language, counted, split


@dataclass(frozen=True, eq=False)
class Words(WordSearch):
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
        found = split(kb.texts(), language)
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
        asked = counted(split(texts, self.language), self.vocabulary)
        found: Scores = (asked @ self.weights.T).toarray().astype(np.float32)
        return found

    def without(self, own: Sequence[str], scores: Scores) -> Scores:
        """The scores, 0 where a query is the passage itself. own: an id for each query, or none at all"""
        place = {id: i for i, id in enumerate(self.ids)} if own else {}
        for row, id in enumerate(own):
            if id in place:
                scores[row, place[id]] = 0.0
        return scores

    @property
    def at_once(self) -> int:
        return len(self.ids)

    def scored(self, texts: Sequence[str], own: Sequence[str] = ()) -> Iterator[tuple[int, Scores]]:
        yield 0, self.without(own, self.scores(texts))

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

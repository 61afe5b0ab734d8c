"""The words that are asked, and no others, over a corpus of any size: read once, in parts, and counted on disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from jaxtyping import Float32, Int64
from scipy.sparse import csc_array

from hiddenstates.core.bars import bar
from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import let_go, mapped_tensors, write_tensors
from hiddenstates.core.paths import scratch_folder
from hiddenstates.retrieval.bm25.searching import Scores, WordSearch
from hiddenstates.retrieval.bm25.texts import Language, counted, split

K1, B = 1.5, 0.75
"""bm25s's defaults, which are Lucene's."""


Part = Mapping[str, np.ndarray]
"""data, indices and indptr of the counts [passage, word], in columns as of `csc_array`; lengths, of the passages."""


@dataclass(frozen=True, eq=False)
class AskedWords(WordSearch):
    """How often each asked word stands in each passage; the scores are those of `Words`, to the bit.

    ids:        of all passages, read where they lie
    vocabulary: each word that may be asked -> its column
    parts:      of the passages in their order, read when they are looked at
    weights:    the inverse document frequency of each word
    length:     words per passage in the mean
    """

    ids: Sequence[str]
    vocabulary: dict[str, int]
    parts: Sequence[Part]
    weights: Float32[np.ndarray, " word"]
    length: float
    language: Language | None

    @classmethod
    def of(cls, kb: KnowledgeBase, texts: Sequence[str], language: Language | None = "english") -> "AskedWords":
        """Of these passages. texts: all that will be asked"""
        words = dict.fromkeys(word for text in split(texts, language) for word in text)
        vocabulary = {word: column for column, word in enumerate(words)}
        parts = []
        with bar(what="words", total=len(kb.passages), unit="passage") as done:
            for part in kb.parts():
                parts.append(_counts(part, vocabulary, language))
                done.update(len(part.passages))
        holding = sum((np.diff(part["indptr"]) for part in parts), np.zeros(len(vocabulary), np.int64))
        return cls.counted(kb.passages["id"], vocabulary, parts, holding, language)

    @classmethod
    def counted(
        cls,
        ids: Sequence[str],
        vocabulary: dict[str, int],
        parts: Sequence[Part],
        holding: Int64[np.ndarray, " word"],
        language: Language | None,
    ) -> "AskedWords":
        """Of these counts. holding: how many passages hold each word"""
        n = len(ids)
        rarity = np.log(1 + (n - holding + 0.5) / (holding + 0.5)).astype(np.float32)
        length = sum(int(part["lengths"].sum()) for part in parts) / max(1, n)
        return cls(ids, vocabulary, parts, rarity, length, language)

    @property
    def at_once(self) -> int:
        return max((len(part["lengths"]) for part in self.parts), default=0)

    def scored(self, texts: Sequence[str], own: Sequence[str] = ()) -> Iterator[tuple[int, Scores]]:
        words = split(texts, self.language)
        if unknown := {word for text in words for word in text} - self.vocabulary.keys():
            raise LabError(f"words: {min(unknown)!r} was not counted. Name all texts that will be asked.")
        asked, places, first = counted(words, self.vocabulary), self.places(own), 0
        themselves = np.array([places.get(id, -1) for id in own], dtype=int)
        for part in self.parts:
            found: Scores = (asked @ self._scores(part).T).toarray().astype(np.float32)
            (rows,) = np.nonzero((first <= themselves) & (themselves < first + found.shape[1]))
            found[rows, themselves[rows] - first] = 0.0
            for array in part.values():
                let_go(array)
            yield first, found
            first += found.shape[1]

    def _scores(self, part: Part) -> csc_array:
        """What each word adds to the score of each passage of the part: Lucene's formula as bm25s computes it."""
        lengths = part["lengths"][part["indices"]]
        often = part["data"] / (K1 * ((1 - B) + B * lengths / self.length) + part["data"])
        columns = np.repeat(np.arange(len(self.weights)), np.diff(part["indptr"]))
        data = (self.weights[columns] * often).astype(np.float32)
        return csc_array((data, part["indices"], part["indptr"]), shape=(len(part["lengths"]), len(self.weights)))


def _counts(part: KnowledgeBase, vocabulary: Mapping[str, int], language: Language | None) -> Part:
    """Of a part, in a file that has no name any more: it goes with what reads it, however that ends."""
    words = split(part.texts(), language)
    counts = csc_array(counted(words, vocabulary))
    lengths = np.array([len(text) for text in words], dtype=np.int64)
    tensors = {"data": counts.data, "indices": counts.indices, "indptr": counts.indptr, "lengths": lengths}
    with NamedTemporaryFile(dir=scratch_folder(), prefix=".words-") as file:
        write_tensors(tensors, Path(file.name))
        return mapped_tensors(Path(file.name))

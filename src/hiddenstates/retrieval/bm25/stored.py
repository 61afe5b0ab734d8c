"""All words of a corpus of any size, counted on disk, so that whatever is asked can be looked up there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt64
from safetensors import SafetensorError
from scipy.sparse import csc_array

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.errors import LabError
from hiddenstates.core.files import mapped_tensors, write_tensors
from hiddenstates.retrieval.bm25.asked import AskedWords, Part
from hiddenstates.retrieval.bm25.searching import Scores, WordSearch
from hiddenstates.retrieval.bm25.texts import Language, counted, split


@dataclass(frozen=True, eq=False)
class StoredWords(WordSearch):
    """How often each word stands in each passage; the scores are those of `Words`, to the bit.

    A word is known by a hash of eight bytes: those of millions of passages are too many to be held.

    parts:    as of `AskedWords`, with one column per word of the part, whose hashes `words` has in ascending order;
              read from disk as far as they are looked at
    language: as of `Words`
    """

    ids: Sequence[str]
    parts: Sequence[Part]
    language: Language | None

    @classmethod
    def load(cls, files: Sequence[Path], ids: Sequence[str], language: Language | None) -> "StoredWords":
        """What `write_words` wrote of the passages with these ids."""
        try:
            parts = [mapped_tensors(file) for file in files]
            passages = sum(len(part["lengths"]) for part in parts)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise LabError(
                f"{files[0].parent}: no words can be read from it ({error}). Build the index again."
            ) from error
        if passages != len(ids):
            raise LabError(f"{files[0].parent}: it has words of {passages:,} of {len(ids):,} passages. Build it again.")
        return cls(ids, parts, language)

    @property
    def at_once(self) -> int:
        return max((len(part["lengths"]) for part in self.parts), default=0)

    def scored(self, texts: Sequence[str], own: Sequence[str] = ()) -> Iterator[tuple[int, Scores]]:
        return self.asked(texts).scored(texts, own)

    def asked(self, texts: Sequence[str]) -> AskedWords:
        """Those of the words that these texts ask for."""
        words = dict.fromkeys(word for text in split(texts, self.language) for word in text)
        looked_up = _LookedUp(self.parts, np.array([_hash(word) for word in words], np.uint64))
        vocabulary = {word: column for column, word in enumerate(words)}
        return AskedWords.counted(self.ids, vocabulary, looked_up, looked_up.holding(), self.language)


@dataclass(frozen=True)
class _LookedUp(Sequence[Part]):
    """The parts' columns of some words, gathered each time that a part is looked at."""

    parts: Sequence[Part]
    words: UInt64[np.ndarray, " asked"]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, place: int) -> Part:  # type: ignore[override]
        part = self.parts[place]
        spans = list(zip(*self._spans(part), strict=True))
        gathered = {
            name: np.concatenate([part[name][:0], *(part[name][first:end] for first, end in spans)])
            for name in ("data", "indices")
        }
        indptr = np.cumsum([0, *(end - first for first, end in spans)])
        return {**gathered, "indptr": indptr, "lengths": np.array(part["lengths"])}

    def holding(self) -> Int64[np.ndarray, " asked"]:
        """How many passages hold each of the words."""
        spans = (self._spans(part) for part in self.parts)
        return sum((end - first for first, end in spans), np.zeros(len(self.words), np.int64))

    def _spans(self, part: Part) -> tuple[Int64[np.ndarray, " asked"], Int64[np.ndarray, " asked"]]:
        """Where the counts of each word begin and end; both are 0 of one that the part does not hold."""
        words, starts = part["words"], part["indptr"]
        if not len(words):
            return np.zeros(len(self.words), np.int64), np.zeros(len(self.words), np.int64)
        places = np.minimum(np.searchsorted(words, self.words), len(words) - 1)
        there = words[places] == self.words
        return np.where(there, starts[places], 0), np.where(there, starts[places + 1], 0)


def write_words(kb: KnowledgeBase, folder: Path, name: str, language: Language | None) -> None:
    """The words of all passages, into files `<name>-00000.safetensors`; a part of them is in memory at a time."""
    for place, part in enumerate(kb.parts()):
        write_tensors(_counts(split(part.texts(), language)), folder / f"{name}-{place:05}.safetensors")


def _counts(texts: Sequence[Sequence[str]]) -> Mapping[str, np.ndarray]:
    hashes = {word: _hash(word) for text in texts for word in text}
    words = sorted(hashes, key=hashes.__getitem__)
    counts = csc_array(counted(texts, {word: column for column, word in enumerate(words)}))
    return {
        "words": np.array([hashes[word] for word in words], np.uint64),
        "data": counts.data,
        "indices": counts.indices.astype(np.int32),
        "indptr": counts.indptr.astype(np.int64),
        "lengths": np.array([len(text) for text in texts], np.int64),
    }


def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")

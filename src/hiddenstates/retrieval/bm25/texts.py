"""Texts as words: split, stop words left out, endings cut off."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import bm25s
import numpy as np
import Stemmer
from scipy.sparse import csr_array

from hiddenstates.core.errors import LabError

Language = Literal[
    "danish", "dutch", "english", "french", "german", "italian", "norwegian", "portuguese", "russian", "spanish",
    "swedish", "turkish",
]  # fmt: skip
"""Those that have both a stemmer and a list of stop words."""


def split(texts: Sequence[str], language: Language | None) -> list[list[str]]:
    """The words of each text. language: whose stop words and endings go; None: words count as they stand"""
    stemmer = Stemmer.Stemmer(language) if language else None
    found: list[list[str]] = bm25s.tokenize(
        list(texts), stopwords=language or [], stemmer=stemmer, return_ids=False, show_progress=False
    )
    return found


def counted(texts: Sequence[Sequence[str]], vocabulary: Mapping[str, int]) -> csr_array:
    """How often each word of the vocabulary stands in each text, [text, word]. vocabulary: word -> its column"""
    counts = [Counter(filter(vocabulary.__contains__, words)) for words in texts]
    columns = [vocabulary[word] for row in counts for word in row]
    data = np.array([n for row in counts for n in row.values()], dtype=np.float32)
    starts = np.cumsum([0, *map(len, counts)])
    return csr_array((data, columns, starts), shape=(len(texts), len(vocabulary)))


def language_named(name: str) -> Language | None:
    """The language of that name; None for `none`. LabError for one that has no stemmer or no stop words."""
    known: dict[str, Language] = {language: language for language in get_args(Language)}
    if name != "none" and name not in known:
        raise LabError(f"language {name!r}: choose {', '.join(known)}, or none.")
    return known.get(name)

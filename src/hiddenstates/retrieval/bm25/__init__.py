"""BM25, which knows words and nothing of meaning (Robertson & Zaragoza 2009), by the package bm25s.

Its defaults are Lucene's (k1 1.5, b 0.75). English words are stemmed by Snowball and stop words left out, as in the
figures that bm25s publishes (https://github.com/xhluca/bm25s).
"""

from hiddenstates.retrieval.bm25.asked import AskedWords
from hiddenstates.retrieval.bm25.fusing import fuse
from hiddenstates.retrieval.bm25.searching import SCORES, Scores, WordSearch
from hiddenstates.retrieval.bm25.stored import StoredWords, write_words
from hiddenstates.retrieval.bm25.task import bm25_run, searchable
from hiddenstates.retrieval.bm25.texts import Language, language_named
from hiddenstates.retrieval.bm25.words import Words

__all__ = [
    "SCORES",
    "AskedWords",
    "Language",
    "Scores",
    "StoredWords",
    "WordSearch",
    "Words",
    "bm25_run",
    "fuse",
    "language_named",
    "searchable",
    "write_words",
]

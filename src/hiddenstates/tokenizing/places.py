"""Where a name stands, and what a tokenizer makes of it there, counted in the very text by the letters."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hiddenstates.tokenizing.letters import Counts, Spans, count, whole_texts

OUTCOMES = ("one token", "several pieces", "with other letters", "unknown", "lost")
"""one token:          nothing but the whole name
with other letters: a token of it holds letters, or signs, that are not the name's
unknown:            a token of it stands for what is not known
lost:               no token is made of some of its letters
"""
BATCH = 5_000  # names whose tokens are held at once


@dataclass(frozen=True)
class Place:
    """A text around a name. lower: whether the name is written in lower case."""

    before: str
    after: str
    lower: bool = False

    def spans(self, names: Sequence[str]) -> Spans:
        """The texts, and where in each the name is."""
        written = [name.lower() for name in names] if self.lower else list(names)
        start = len(self.before)
        texts = [f"{self.before}{name}{self.after}" for name in written]
        return Spans(texts, [(start, start + len(name)) for name in written])


PLACES = {
    "alone": Place("", ""),
    "in a sentence": Place("We saw ", " there."),
    "at the head of a passage": Place("", " is known."),  # title before text, as passages are encoded
    "in lower case": Place("We saw ", " there.", lower=True),
    "in a question": Place("What is ", "?"),
}
ALONE, SENTENCE, HEAD, LOWER, QUESTION = PLACES


def audit_places(tokenizer: Any, names: Sequence[str]) -> pd.DataFrame:
    """One row per place and name, in that order: what the tokenizer makes of the name there. Special ones do not count.

    words (between blanks), whole words (those that are one token by themselves), pieces (tokens that hold a letter of
    the name), unknowns (those of them that stand for what is not known), outcome (one of `OUTCOMES`)
    as at the head: whether its tokens are the very ones that the same name has at the head of a passage
    """
    whole_texts(tokenizer)
    batches = [names[first : first + BATCH] for first in range(0, len(names), BATCH)] or [names]
    threads = min(os.cpu_count() or 1, 2) if tokenizer.is_fast else 1  # Rust counts without Python's lock
    with ThreadPoolExecutor(threads) as pool:
        tables = [dict(rows) for rows in pool.map(lambda batch: list(_audit(tokenizer, batch)), batches)]
    table = pd.concat([rows[place] for place in PLACES for rows in tables], ignore_index=True)
    return table.assign(
        place=pd.Categorical(table["place"], list(PLACES)), outcome=pd.Categorical(table["outcome"], list(OUTCOMES))
    )


def _audit(tokenizer: Any, names: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    found = {name: count(tokenizer, place.spans(names)) for name, place in PLACES.items() if name != LOWER}
    for place, said in (found | {LOWER: _in_lower_case(tokenizer, names, found[SENTENCE])}).items():
        yield place, _table(names, said).assign(place=place, **{"as at the head": said.alike(found[HEAD])})


def _in_lower_case(tokenizer: Any, names: Sequence[str], in_sentence: Counts) -> Counts:
    """Half of the world's names know no case: the sentence is the very same, and need not be read again."""
    cased = np.array([row for row, name in enumerate(names) if name.lower() != name], dtype=int)
    return in_sentence.replaced(cased, count(tokenizer, PLACES[LOWER].spans([names[row] for row in cased])))


def _table(names: Sequence[str], said: Counts) -> pd.DataFrame:
    cases = [said.lost, said.unknowns > 0, said.shared, said.pieces == 1]
    return pd.DataFrame(
        {
            "name": pd.Series(list(names), dtype=str),
            "words": said.words,
            "whole words": said.whole_words,
            "pieces": said.pieces,
            "unknowns": said.unknowns,
            "outcome": np.select(cases, ["lost", "unknown", "with other letters", "one token"], "several pieces"),
        }
    )

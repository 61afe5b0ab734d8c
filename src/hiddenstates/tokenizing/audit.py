"""What a tokenizer makes of texts: can they be encoded, and are they in the vocabulary?"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

OUTCOMES = ("one token", "several pieces", "unknown", "nothing")
BATCH = 10_000  # texts; tokenizers of Rust keep more than the ids of each


def audit_tokenizer(tokenizer: Any, texts: Sequence[str]) -> pd.DataFrame:
    """One row a text, in their order; special tokens are not counted.

    text, words (between blanks), pieces (tokens), unknowns (tokens that stand for what is not known)
    outcome:    one of `OUTCOMES`; "unknown" as soon as one token is, "nothing" where no token comes out
    round trip: whether decoding gives back exactly the text
    """
    ids = [row for first in range(0, len(texts), BATCH) for row in _ids(tokenizer, texts[first : first + BATCH])]
    pieces = np.array([len(row) for row in ids], dtype=int)
    unknown = tokenizer.unk_token_id
    unknowns = np.array([row.count(unknown) for row in ids], dtype=int)
    cases = [unknowns > 0, pieces == 0, pieces == 1]
    back = tokenizer.batch_decode(ids, clean_up_tokenization_spaces=False) if ids else []
    return pd.DataFrame(
        {
            "text": list(texts),
            "words": [len(text.split()) for text in texts],
            "pieces": pieces,
            "unknowns": unknowns,
            "outcome": np.select(cases, ["unknown", "nothing", "one token"], "several pieces"),
            "round trip": [text == decoded for text, decoded in zip(texts, back, strict=True)],
        }
    )


def audit_names(tokenizers: Mapping[str, Any], spellings: pd.DataFrame) -> pd.DataFrame:
    """The rows of `spellings`, once a tokenizer, each with what the tokenizer makes of its name."""
    distinct = list(spellings["name"].unique())
    audited = {name: audit_tokenizer(tokenizer, distinct) for name, tokenizer in tokenizers.items()}
    joined = {name: spellings.merge(table, left_on="name", right_on="text") for name, table in audited.items()}
    return pd.concat(joined, names=["tokenizer"]).reset_index(level="tokenizer").reset_index(drop=True)


def shares(audited: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One row a group of texts, by columns that were joined to `audit_tokenizer`'s table.

    texts; the share of each outcome and of exact round trips; pieces a word (fertility, Rust et al. 2021), and to be
    read beside it, the share of the pieces that are unknown: a word that is lost whole counts as a single piece
    """
    groups = audited.groupby(list(by), sort=True)
    counts = groups["outcome"].value_counts().unstack(fill_value=0).reindex(columns=list(OUTCOMES), fill_value=0)
    sums = groups[["pieces", "words", "unknowns"]].sum()
    table = counts.div(counts.sum(axis=1), axis=0)
    return table.assign(
        **{
            "texts": groups.size(),
            "round trip": groups["round trip"].mean(),
            "pieces a word": sums["pieces"] / sums["words"],
            "unknown pieces": (sums["unknowns"] / sums["pieces"].clip(lower=1)),
        }
    )[["texts", *OUTCOMES, "round trip", "pieces a word", "unknown pieces"]].rename_axis(columns=None)


def worst(tokenizer: Any, audited: pd.DataFrame, n: int, among: Hashable) -> pd.DataFrame:
    """The n texts of this outcome in the most pieces a word, with their pieces.

    Of texts with as many, the first of the table.
    """
    found = audited[audited["outcome"] == among]
    order = (found["pieces"] / found["words"].clip(lower=1)).sort_values(ascending=False, kind="stable").index[:n]
    rows = found.loc[order]
    return rows.assign(**{"as pieces": [" ".join(tokenizer.tokenize(text)) for text in rows["text"]]})


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    if tokenizer.is_fast:  # past transformers, which takes four times as long to wrap what Rust gives
        backend = tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        return [said.ids for said in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return ids

"""What a tokenizer makes of texts and of names: can they be encoded, and are they in the vocabulary?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hiddenstates.tokenizing.places import OUTCOMES, PLACES, audit_places

BATCH = 10_000  # texts; tokenizers of Rust keep more than the ids of each


def audit_tokenizer(tokenizer: Any, texts: Sequence[str]) -> pd.DataFrame:
    """One row per text, in their order; special tokens are not counted.

    text, words (between blanks), pieces (tokens), unknowns (tokens that stand for what is not known)
    round trip: whether decoding gives back exactly the text
    """
    ids = [row for first in range(0, len(texts), BATCH) for row in _ids(tokenizer, texts[first : first + BATCH])]
    back = tokenizer.batch_decode(ids, clean_up_tokenization_spaces=False) if ids else []
    return pd.DataFrame(
        {
            "text": list(texts),
            "words": [len(text.split()) for text in texts],
            "pieces": np.array([len(row) for row in ids], dtype=int),
            "unknowns": np.array([row.count(tokenizer.unk_token_id) for row in ids], dtype=int),
            "round trip": [text == decoded for text, decoded in zip(texts, back, strict=True)],
        }
    )


def audit_names(tokenizers: Mapping[str, Any], names: Sequence[str]) -> pd.DataFrame:
    """`audit_places` of each tokenizer, one after the other, with the column tokenizer."""
    tables = [audit_places(tokenizer, names).assign(tokenizer=name) for name, tokenizer in tokenizers.items()]
    return pd.concat(tables, ignore_index=True).astype({"tokenizer": pd.CategoricalDtype(list(tokenizers))})


def spelled(audited: pd.DataFrame, spellings: pd.DataFrame) -> pd.DataFrame:
    """The rows of `audited` once for every row of `spellings` that has the name, with its script and language."""
    known = spellings[["name", "script", "language"]].astype({"script": "category", "language": "category"})
    return known.merge(audited, on="name")


def shares(audited: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One row per group of names, by columns of `audit_names`'s table or joined to it.

    names; the share of each of `OUTCOMES`; of names of which every word is one token; of names whose tokens are the
    same at the head of a passage; pieces per word (fertility, Rust et al. 2021), and to be read beside it, the share of
    the pieces that are unknown: a word that is lost whole counts as a single piece
    """
    marks = {outcome: audited["outcome"] == outcome for outcome in OUTCOMES}
    marked = audited.assign(**marks, **{"every word": audited["whole words"] == audited["words"]})
    groups = marked.groupby(list(by), sort=True, observed=True)
    means = groups[[*OUTCOMES, "every word", "as at the head"]].mean()
    sums = groups[["pieces", "words", "unknowns"]].sum()
    return means.assign(
        **{
            "names": groups.size(),
            "pieces per word": sums["pieces"] / sums["words"].clip(lower=1),
            "unknown pieces": sums["unknowns"] / sums["pieces"].clip(lower=1),
        }
    )[["names", *OUTCOMES, "every word", "as at the head", "pieces per word", "unknown pieces"]]


def worst(tokenizer: Any, audited: pd.DataFrame, n: int, among: str) -> pd.DataFrame:
    """The n names of this outcome in the most pieces per word, with the pieces of the text that they stand in.

    Of names with as many, the first of the table.
    """
    found = audited[audited["outcome"] == among]
    order = (found["pieces"] / found["words"].clip(lower=1)).sort_values(ascending=False, kind="stable").index[:n]
    rows = found.loc[order]
    texts = [PLACES[place].spans([name]).texts[0] for place, name in zip(rows["place"], rows["name"], strict=True)]
    return rows.assign(**{"as pieces": [" ".join(tokenizer.tokenize(text)) for text in texts]})


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    if tokenizer.is_fast:  # past transformers, which takes four times as long to wrap what Rust gives
        backend = tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        return [said.ids for said in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return ids

"""What makes texts of several lengths one batch: padding, and what it wastes; truncation, and what it loses."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd


def lengths_of(tokenizer: Any, texts: Sequence[str]) -> pd.Series:
    """Tokens of each text, special tokens included, however long it is."""
    said = tokenizer(list(texts), truncation=False, return_attention_mask=False, verbose=False)["input_ids"]
    return pd.Series([len(ids) for ids in said], name="tokens")


def layouts(tokenizer: Any, texts: Sequence[str], longest: int) -> pd.DataFrame:
    """One row per text under each kind and side of padding: its tokens, and its attention mask as 1s and 0s."""
    rows = {}
    for padding in (True, "max_length"):
        for side in ("right", "left"):
            batch = tokenizer(list(texts), padding=padding, padding_side=side, max_length=longest, truncation=True)
            for i, (ids, mask) in enumerate(zip(batch["input_ids"], batch["attention_mask"], strict=True)):
                tokens = " ".join(tokenizer.convert_ids_to_tokens(ids))
                rows[repr(padding), side, i] = (tokens, "".join(map(str, mask)))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["tokens", "mask"])
    table.index = pd.MultiIndex.from_tuples(table.index, names=["padding", "side", "text"])
    return table


def wasted(lengths: Sequence[int], batch_sizes: Sequence[int]) -> pd.DataFrame:
    """The share of a batch's positions that are padding, one row per batch size: texts as they come, and by length."""
    orders = {"as they come": list(lengths), "sorted by length": sorted(lengths)}
    rows = {n: {name: _wasted(order, n) for name, order in orders.items()} for n in batch_sizes}
    return pd.DataFrame(rows).T.rename_axis("batch")


def _wasted(lengths: Sequence[int], size: int) -> float:
    batches = [lengths[first : first + size] for first in range(0, len(lengths), size)]
    paid = sum(max(batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / paid if paid else 0.0


def cut(lengths: Sequence[int], limits: Sequence[int]) -> pd.DataFrame:
    """What is lost when texts are cut, one row per limit: texts cut, their share, the share of all tokens, the most."""
    tokens = np.asarray(lengths)
    rows = {}
    for limit in limits:
        over = np.maximum(tokens - limit, 0)
        rows[limit] = {
            "texts": int((over > 0).sum()),
            "share of texts": float((over > 0).mean()) if len(over) else 0.0,
            "share of tokens": float(over.sum() / max(tokens.sum(), 1)),
            "most": int(over.max(initial=0)),
        }
    return pd.DataFrame(rows).T.astype({"texts": int, "most": int}).rename_axis("longest")


def lost(tokenizer: Any, text: str, longest: int) -> str:
    """The end of the text that does not fit into `longest` tokens, special tokens included."""
    room = longest - tokenizer.num_special_tokens_to_add()
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return str(tokenizer.decode(ids[room:], clean_up_tokenization_spaces=False)).strip()

"""Special tokens: which a tokenizer has, and where it puts them around one text and around two."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from transformers import AutoConfig

from hiddenstates.tokenizing.faults import entries

ROLES = ("bos", "eos", "sep", "pad", "cls", "mask", "unk")
PUBLISHED = {"BERT": ("bert", 30522), "T5": ("t5", 32100), "BART": ("bart", 50265), "CLIP": ("clip", 49408)}
"""By family: transformers' model type, and the entries of the tokenizer that its authors published."""
NONE = "–"


def special_tokens(tokenizers: Mapping[str, Any]) -> pd.DataFrame:
    """A row a role, a column a tokenizer; `NONE` where it has no such token."""
    table = {
        name: [getattr(tokenizer, f"{role}_token") or NONE for role in ROLES] for name, tokenizer in tokenizers.items()
    }
    return pd.DataFrame(table, index=list(ROLES))


def forms(tokenizers: Mapping[str, Any], first: str, second: str) -> pd.DataFrame:
    """A row a tokenizer: what becomes of one text and of two, and what to put between them."""
    rows = {
        name: {
            "one text": _said(tokenizer, first),
            "two texts": _said(tokenizer, first, second),
            "between two": separator(tokenizer),
        }
        for name, tokenizer in tokenizers.items()
    }
    return pd.DataFrame(rows).T


def separator(tokenizer: Any) -> str:
    """The token to put between two texts: its sep; without one its eos, as T5 does (Raffel et al. 2020); or `NONE`."""
    return str(tokenizer.sep_token or tokenizer.eos_token or NONE)


def sizes(tokenizer: Any, config: Any) -> dict[str, Any]:
    """Entries of the vocabulary, those of them that were added, and the rows of the model's table of embeddings."""
    added = tokenizer.get_added_vocab()
    return {
        "entries": entries(tokenizer),
        "extra ids": sum(token.startswith("<extra_id_") for token in added),
        "visual ids": sum(token.startswith("<vis_extra_id_") for token in added),
        "rows": config.get_text_config().vocab_size,
    }


def published_sizes() -> pd.DataFrame:
    """Full-size models: the tokenizer's published entries, and the rows that transformers gives the table."""
    rows = {
        name: {"entries": n, "rows": AutoConfig.for_model(kind).get_text_config().vocab_size}
        for name, (kind, n) in PUBLISHED.items()
    }
    return pd.DataFrame(rows).T


def _said(tokenizer: Any, *texts: str) -> str:
    return " ".join(tokenizer.convert_ids_to_tokens(tokenizer(*texts)["input_ids"]))

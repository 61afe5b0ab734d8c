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
BART_ADDS = ("<s>", "<pad>", "</s>", "<unk>", "madeupword0000", "madeupword0001", "madeupword0002", "<mask>")
"""To GPT-2's entries: fairseq's special tokens, what fills up to a multiple of 8, and the mask."""
NOTED = {"VL-T5": 32_000, "VL-BART": 50_265}
"""Entries before 200 were added, as the notes have them: 100 sentinels and as many visual tokens."""
ADDED = 200


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


def noted_sizes(tokenizers: Mapping[str, Any]) -> pd.DataFrame:
    """The notes' counts, each held against a vocabulary at hand: what it has, and whether it agrees.

    VL-BART's against BART's, or GPT-2's and what BART adds to it; VL-T5's against T5's pieces without its sentinels.
    """
    rows = {}
    for model, noted in NOTED.items():
        found = [(name, n) for name, n in (_countable(model, *item) for item in tokenizers.items()) if n]
        rows[model] = {
            "noted": f"{noted:,} + {ADDED}",
            "rows": noted + ADDED,
            "counted": ", ".join(f"{n:,} ({name})" for name, n in found) or "not at hand",
            "agrees": ", ".join("yes" if n == noted else "no" for _, n in found) or NONE,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _countable(model: str, name: str, tokenizer: Any) -> tuple[str, int]:
    """What the notes count of the model's vocabulary, if this is the one; it is known by what no other has. Else 0."""
    known, size = tokenizer.get_vocab(), entries(tokenizer)
    if model == "VL-BART" and "ĠSolidGoldMagikarp" in known:  # GPT-2's pieces; BART's have the mask besides
        added = () if "<mask>" in known else BART_ADDS
        return f"{name}, and {len(added)} more" if added else name, size + len(added)
    if model == "VL-T5" and {"▁Paris", "<extra_id_0>"} <= known.keys():
        return name, size - sum(token.startswith(("<extra_id_", "<vis_extra_id_")) for token in known)
    return name, 0


def _said(tokenizer: Any, *texts: str) -> str:
    return " ".join(tokenizer.convert_ids_to_tokens(tokenizer(*texts)["input_ids"]))

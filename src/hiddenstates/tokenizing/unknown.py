"""An unknown word, in each backend of transformers and each type of model: what `tokenize()` says, what the ids say.

transformers' documentation once said that fast tokenizers replace unknown tokens by unk_token and slow ones keep them.
"""

from typing import Any

import pandas as pd

from hiddenstates.tokenizing.backends import KNOWN, cases

STRANGE = "ሰላም"  # hello, in Amharic


def unknown_words() -> pd.DataFrame:
    """One row (backend, model): what becomes of `STRANGE`, to a vocabulary of Latin letters and the word `KNOWN`.

    tokens:   what `tokenize()` gives for it
    shown:    "replaced" by the unknown token, "kept" as it was written, "spelled" in bytes, or "dropped"
    ids:      "unknown", "known" or "none"
    by the old rule: what the documentation had said of this backend
    """
    rows = {(backend, model): _row(backend, make()) for backend, model, make in cases()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["backend", "model"])


def _row(backend: str, tokenizer: Any) -> dict[str, Any]:
    tokens, ids = _strange(tokenizer)
    unknown = tokenizer.unk_token_id in ids
    shown = "dropped"
    if tokens:
        replaced, kept = tokenizer.unk_token in tokens, STRANGE in "".join(tokens).replace("@@", "")
        shown = "replaced" if replaced else "kept" if kept else "spelled"
    return {
        "tokens": " ".join(token if token.isprintable() else ascii(token)[1:-1] for token in tokens),
        "shown": shown,
        "ids": "unknown" if unknown else "known" if ids else "none",
        "by the old rule": "replaced" if backend == "Rust" else "kept",
    }


def _strange(tokenizer: Any) -> tuple[list[str], list[int]]:
    """Tokens and ids of the second word of two: those that come after the first word's."""
    first, both = (tokenizer.tokenize(text) for text in (KNOWN, f"{KNOWN} {STRANGE}"))
    ids = tokenizer(f"{KNOWN} {STRANGE}", add_special_tokens=False)["input_ids"]
    return both[len(first) :], ids[len(first) :]

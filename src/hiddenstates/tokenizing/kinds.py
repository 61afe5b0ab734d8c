"""What kind a tokenizer is of: the backend that runs it, its model, what it does to a text before, and its entries."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from hiddenstates.tokenizing.faults import entries, learned


def kinds(tokenizers: Mapping[str, Any], trained: Mapping[str, bool]) -> pd.DataFrame:
    """One row per tokenizer. trained: of each, whether it was trained here.

    backend:    Rust, Python or SentencePiece
    model:      WordPiece, Unigram, BPE of letters, of bytes, …; "byte fallback" where it spells in bytes what it lacks
    normaliser: the steps that a text goes through before, in the words of the `tokenizers` package
    learned, entries: pieces that were learned from texts; ids in all, special and added ones included
    """
    rows = {name: _row(tokenizer) | _from(trained[name]) for name, tokenizer in tokenizers.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def model_of(tokenizer: Any) -> str:
    """The type of its model, in words."""
    if not tokenizer.is_fast:
        return str(type(tokenizer).__name__.removesuffix("Tokenizer"))
    said = _described(tokenizer)
    kind: str = said["model"]["type"]
    if kind == "BPE":
        kind += " of bytes" if "ByteLevel" in json.dumps(said["pre_tokenizer"]) else " of letters"
    return kind + (", byte fallback" if said["model"].get("byte_fallback") else "")


def _row(tokenizer: Any) -> dict[str, Any]:
    backend = "Rust" if tokenizer.is_fast else "SentencePiece" if hasattr(tokenizer, "sp_model") else "Python"
    steps = ", ".join(_steps(_described(tokenizer)["normalizer"])) if tokenizer.is_fast else "its own"
    numbers = {"learned": learned(tokenizer), "entries": entries(tokenizer)}
    return {"backend": backend, "model": model_of(tokenizer), "normaliser": steps or "none"} | numbers


def _from(trained: bool) -> dict[str, str]:
    return {"from": "trained on these passages" if trained else "published"}


def _described(tokenizer: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return said


def _steps(normalizer: dict[str, Any] | None) -> Iterator[str]:
    if normalizer is None:
        return
    for step in normalizer.get("normalizers", [normalizer]):
        marks = [name for name, value in step.items() if value is True]
        yield f"{step['type']} ({', '.join(marks)})" if marks else step["type"]

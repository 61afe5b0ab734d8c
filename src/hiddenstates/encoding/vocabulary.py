"""From what params call a tokenizer to the tokenizer: loaded by name, or trained on the passages."""

from collections.abc import Sequence
from typing import Any

from hiddenstates.encoding.models import load_tokenizer, model_folder
from hiddenstates.tokenizing.training import train_tokenizer

TRAINED = {"unigram": "t5", "byte_bpe": "bart", "clip_bpe": "clip"}
"""By the name in params: whose tokenizer it is made like."""


def read_tokenizer(name: str, revision: str | None, texts: Sequence[str], pieces: int) -> Any:
    """A tokenizer by bundled name, local folder, or hub name with a pinned revision; or a key of `TRAINED`.

    texts, pieces: what one of `TRAINED` learns from, and how many entries at most. No weights are read or fetched.
    """
    if name in TRAINED:
        return train_tokenizer(TRAINED[name], texts, pieces)
    return load_tokenizer(model_folder(name, revision, weights=False))

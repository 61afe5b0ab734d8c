"""Where the tokens of a text stand, for tokenizers that do not say so: those in Python, and SentencePiece.

The tokens of the beginning of a text, up to the name, up to the end of each of its words, are the first tokens of the
whole text, unless one token reaches over the cut. So a token is known to lie between two cuts or to reach over one,
which is all that is asked. A beginning that many texts share is read once.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

Edges = tuple[int, int]
"""From where to where in a text something reaches, in characters."""

GOES_ON = ("@@", "</w>")  # how BPE in Python marks a piece that the word goes on after, or that it ends with


def tokens_between_cuts(
    tokenizer: Any, texts: Sequence[str], names: Sequence[Edges]
) -> tuple[list[list[int]], list[list[Edges]]]:
    """The ids of each text's tokens, and from which cut to which each reaches. names: where each text's name does."""
    read = lru_cache(maxsize=4096)(lambda text: tuple(tokenizer.tokenize(text)))
    ids, places = [], []
    for text, (start, end) in zip(texts, names, strict=True):
        tokens = tokenizer.tokenize(text)
        cuts = [start, *(start + word.end() for word in re.finditer(r"\S+", text[start:end]))]
        beginnings = [(cut, list(map(_bare, read(text[:cut])))) for cut in cuts]
        ids.append(tokenizer.convert_tokens_to_ids(tokens))
        places.append(_places(list(map(_bare, tokens)), beginnings, len(text)))
    return ids, places


def _places(tokens: list[str], beginnings: Sequence[tuple[int, list[str]]], length: int) -> list[Edges]:
    """From which cut to which each token reaches. beginnings: each cut, in order, and the tokens before it."""
    starts, ends = [0] * len(tokens), [length] * len(tokens)
    for cut, before in beginnings:
        same = _same(tokens, before)
        reaches_over = same < len(before)
        starts[same + reaches_over :] = [cut] * len(tokens[same + reaches_over :])
    for cut, before in reversed(beginnings):
        same = _same(tokens, before)
        ends[:same] = [cut] * same
    return list(zip(starts, ends, strict=True))


def _same(tokens: list[str], before: list[str]) -> int:
    """How many of the first tokens are the same."""
    pairs = enumerate(zip(tokens, before, strict=False))
    return next((i for i, (ours, theirs) in pairs if ours != theirs), min(len(tokens), len(before)))


def _bare(token: str) -> str:
    for mark in GOES_ON:
        token = token.removesuffix(mark)
    return token

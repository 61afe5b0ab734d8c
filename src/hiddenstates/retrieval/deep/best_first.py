"""Best-first search over sets of hidden states: the best so far are tried with each state more and each less."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float64

WIDTH = 24
"""It ends when so many of the best sets have been tried with every state more and less, and none better was found."""

SETS_AT_ONCE = 16  # sets that are tried together

Members = Bool[np.ndarray, "set layer"]
Toggled = Callable[[Members], Float64[np.ndarray, "set layer_and_itself"]]
"""The score of each set with each state put in or taken out; last of the set itself."""


def best_first(n_layers: int, toggled: Toggled, scores: dict[int, float], most: int) -> dict[int, float]:
    """The scores of all sets that were looked at, by bit mask: those that are given, and what grows from them.

    most: ends after about so many
    """
    found, done = dict(scores), set[int]()
    while len(found) < most:
        leading = sorted(found, key=lambda one: (-found[one], one.bit_count(), one))[:WIDTH]
        ahead = [one for one in leading if one not in done][:SETS_AT_ONCE]
        if not ahead:
            break
        done.update(ahead)
        for mask, row in zip(ahead, toggled(members(ahead, n_layers)), strict=True):
            near = ((mask ^ (1 << layer), score) for layer, score in enumerate(row[:-1]))
            found |= {one: float(score) for one, score in near if one and one not in found}
    return found


def seeds(n_layers: int) -> list[int]:
    """All single states, all pairs, all contiguous runs: the last k and the first k among them."""
    singles = [1 << layer for layer in range(n_layers)]
    pairs = [low | high for i, low in enumerate(singles) for high in singles[i + 1 :]]
    runs = [(1 << stop) - (1 << start) for start in range(n_layers) for stop in range(start + 3, n_layers + 1)]
    return singles + pairs + runs


def members(masks: Iterable[int], n_layers: int) -> Members:
    """Bit masks as rows of booleans: Python's own integers have room for any number of states."""
    return np.array([[mask >> layer & 1 for layer in range(n_layers)] for mask in masks], dtype=bool)


def in_blocks(masks: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """So many at a time, to bound memory."""
    return (masks[first : first + size] for first in range(0, len(masks), size))

"""Draws that depend on their key alone, so that nothing drawn earlier, or added later, moves them."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def number(*key: object) -> int:
    """A whole number below 2**64, the same for the same key on every machine (`hash()` is salted)."""
    text = "|".join(str(part) for part in key)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def fraction(*key: object) -> float:
    """A number in [0, 1), uniform over keys."""
    return (number(*key) >> 11) / 2**53


def choose(options: Sequence[Item], *key: object) -> Item:
    """One of the options."""
    return options[number(*key) % len(options)]


def shuffled(items: Sequence[Item], *key: object) -> list[Item]:
    """The items in the key's order; adding one does not reorder the others."""
    return sorted(items, key=lambda item: number(*key, item))


def generator(*key: object) -> np.random.Generator:
    """A fresh source of random numbers."""
    return np.random.default_rng(number(*key))

"""Poolings that give the same vectors, each listed once."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from hiddenstates.encoding.embeddings.states import TaskStates


def distinct(states: TaskStates, kept: Collection[str]) -> tuple[TaskStates, dict[str, str]]:
    """The states without a pooling whose every number another one has; and those left out, with the one that stays.

    For models like BERT the last token is the one that ends the text. kept: poolings that stay in any case
    """
    names = sorted(states.passages.values, key=lambda name: name not in kept)
    same: dict[str, str] = {}
    for i, name in enumerate(names):
        twin = next((other for other in names[:i] if other not in same and _alike(states, name, other)), None)
        if twin and name not in kept:
            same[name] = twin
    sides = (states.passages, states.queries)
    left = [replace(s, values={name: v for name, v in s.values.items() if name not in same}) for s in sides]
    return TaskStates(*left), same


def _alike(states: TaskStates, one: str, other: str) -> bool:
    return all(np.array_equal(side.values[one], side.values[other]) for side in (states.passages, states.queries))

"""Entities found: seqeval's count, F1 from it, and how sure one can be of a difference."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int
from seqeval.metrics.sequence_labeling import get_entities

from hiddenstates.corpora.sentence import Sentence
from hiddenstates.report.significance import FLIPS, Comparison, central, resamples

Counts = Int[np.ndarray, "sentence 3"]
"""True positives, false positives and false negatives of each sentence."""
Tags = Sequence[Sequence[str]]


def count(gold: Tags, found: Tags) -> Counts:
    """An entity is found when its first word, its last word and its type are all right, as conlleval has it."""
    rows = []
    for right, said in zip(gold, found, strict=True):
        wanted, given = set(get_entities(list(right))), set(get_entities(list(said)))
        hits = len(wanted & given)
        rows.append((hits, len(given) - hits, len(wanted) - hits))
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def f1(counts: Counts) -> float:
    """Micro-averaged F1 over all entities; 0 where there is none."""
    return float(_f1(counts.sum(axis=0, keepdims=True).astype(float))[0])


def clusters(sentences: Sequence[Sentence]) -> dict[str, list[str]]:
    """Sentences that are not independent, by what they share: their entity and template; else each on its own."""
    if not any(sentence.entity for sentence in sentences):
        return {"sentence": [sentence.where for sentence in sentences]}
    return {"entity": [s.entity for s in sentences], "template": [s.template for s in sentences]}


def interval(counts: Counts, groups: Mapping[str, Sequence[str]], seed: int) -> tuple[float, float]:
    """A 95% interval of F1: sentences are drawn by cluster, and F1 is computed anew from each draw's counts."""
    return central(_f1(resamples(groups, seed) @ counts))


def compare(first: Counts, second: Counts, groups: Mapping[str, Sequence[str]], seed: int) -> Comparison:
    """The difference of two taggers' F1 on the same sentences, first minus second.

    For the interval, clusters are drawn; for the test, the two taggers' counts change places at random, all those of
    a cluster of the first way of grouping together (approximate randomization, Yeh 2000).
    """
    weights = resamples(groups, seed)
    low, high = central(_f1(weights @ first) - _f1(weights @ second))
    codes = np.unique(next(iter(groups.values())), return_inverse=True)[1]
    moved = np.zeros((codes.max() + 1, 3))
    np.add.at(moved, codes, second - first)
    swaps = np.random.default_rng(seed).integers(2, size=(FLIPS, len(moved)))
    change = swaps @ moved  # what the first gains, the second loses
    differences = _f1(first.sum(0) + change) - _f1(second.sum(0) - change)
    difference = f1(first) - f1(second)
    p = (np.sum(np.abs(differences) >= abs(difference) - 1e-12) + 1) / (FLIPS + 1)
    return Comparison(len(first), len(moved), difference, low, high, float(p))


def _f1(totals: Float64[np.ndarray, "draw 3"]) -> Float64[np.ndarray, " draw"]:
    hits, wrong, missed = totals.T
    return 2 * hits / np.maximum(2 * hits + wrong + missed, 1)

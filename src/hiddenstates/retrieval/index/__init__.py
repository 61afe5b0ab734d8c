"""FAISS indexes that know what their vectors are. The one door to faiss.

Those beyond memory are built by `large.build_large`, imported by itself: it takes transformers along, two seconds.
"""

from hiddenstates.retrieval.index.building import added, build_index, missing
from hiddenstates.retrieval.index.bundle import IndexBundle, Metric
from hiddenstates.retrieval.index.measuring import (
    agreement,
    candidates,
    grown,
    qualities,
    recommended,
    speeds,
    split,
    trainable,
)

__all__ = [
    "IndexBundle",
    "Metric",
    "added",
    "agreement",
    "build_index",
    "candidates",
    "grown",
    "missing",
    "qualities",
    "recommended",
    "speeds",
    "split",
    "trainable",
]

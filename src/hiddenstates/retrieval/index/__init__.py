"""FAISS indexes that know what their vectors are. The one door to faiss."""

from hiddenstates.retrieval.index.building import added, build_index, missing
from hiddenstates.retrieval.index.bundle import IndexBundle, Metric
from hiddenstates.retrieval.index.large import build_large
from hiddenstates.retrieval.index.measuring import agreement, candidates, grown, qualities, recommended, speeds, split

__all__ = [
    "IndexBundle",
    "Metric",
    "added",
    "agreement",
    "build_index",
    "build_large",
    "candidates",
    "grown",
    "missing",
    "qualities",
    "recommended",
    "speeds",
    "split",
]

"""A filter that keeps its doubts: the image says whose passage it is, with a probability, and the text says which."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import log_softmax

from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.retrieval.fusion import Aligned, align, normalised
from hiddenstates.retrieval.weighing import Judged

TEMPERATURES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""In standard deviations of a question's scores."""

Table = Float64[np.ndarray, "query passage"]


@dataclass(frozen=True)
class SoftFilter:
    """P(passage) = P(its image | the question's image) · P(passage | the text, of the passages of its image).

    Both are softmaxes of scores that are standardised question by question. A hard filter trusts the nearest images
    alike and the others not at all; what it loses with the right image in the next place, this one keeps.

    image, text: temperatures
    score:       the measure on the queries that chose them
    """

    image: float
    text: float
    score: float

    def apply(self, text: Run, image: Run, image_of: Mapping[str, str]) -> Run:
        """The passages that have an image, by the logarithm of the product.

        text, image: whole lists of passages, by the question's text and by the likeness of their images
        image_of:    passage -> the id of its image
        """
        aligned = _aligned(text, image, image_of)
        return aligned.fused(self.scores(aligned, _groups(aligned, image_of)))

    def scores(self, aligned: Aligned, images: Int64[np.ndarray, " passage"]) -> Table:
        """The logarithm of the product. aligned: text and image, passages that have one; images: a number for each"""
        return _log_shares(aligned, images, self.image, self.text)


def choose_soft_filter(text: Run, image: Run, image_of: Mapping[str, str], qrels: Qrels, measure: str) -> SoftFilter:
    """The temperatures with the best mean of the measure, of equals the first. Only the queries of the qrels count."""
    aligned = _aligned(text.select(qrels), image.select(qrels), image_of)
    judged, groups = Judged.of(aligned, qrels), _groups(aligned, image_of)
    tried = {
        pair: judged.mean(_log_shares(aligned, groups, *pair), measure) for pair in product(TEMPERATURES, TEMPERATURES)
    }
    best = max(tried, key=tried.__getitem__)
    return SoftFilter(*best, tried[best])


def _aligned(text: Run, image: Run, image_of: Mapping[str, str]) -> Aligned:
    pictured = {query: {p: score for p, score in row.items() if p in image_of} for query, row in text.rows.items()}
    return align({"text": Run(pictured), "image": image})


def _groups(aligned: Aligned, image_of: Mapping[str, str]) -> Int64[np.ndarray, " passage"]:
    """A number for the image of each passage."""
    return np.unique([image_of[passage] for passage in aligned.passages], return_inverse=True)[1]


def _log_shares(aligned: Aligned, groups: Int64[np.ndarray, " passage"], image: float, text: float) -> Table:
    by_text, by_image = normalised(aligned, "zscore")
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max(initial=-1) + 1))
    likeness = np.maximum.reduceat(
        by_image[:, order], starts, axis=1
    )  # query group; alike for all passages of an image
    right_image = log_softmax(likeness / image, axis=1)
    scaled = by_text / text
    most = np.maximum.reduceat(scaled[:, order], starts, axis=1)  # query group
    total = np.add.reduceat(np.exp(scaled[:, order] - most[:, groups[order]]), starts, axis=1)
    shares: Table = right_image[:, groups] + scaled - (most + np.log(total))[:, groups]
    return shares

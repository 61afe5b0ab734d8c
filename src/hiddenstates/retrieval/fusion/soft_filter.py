"""A filter that keeps its doubts: the image says whose passage it is, with a probability, and the text says which."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import log_softmax

from hiddenstates.core.relevance import Qrels
from hiddenstates.retrieval.fusion.runs import Aligned, normalised
from hiddenstates.retrieval.fusion.weighing import Judged, Tried

TEMPERATURES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""In standard deviations of a question's scores."""

Pictured = tuple[Aligned, Int64[np.ndarray, " passage"]]
"""Lists by text and by image of passages that have one, and a number for the image of each, from 0 and without gaps."""

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

    def scores(self, aligned: Aligned, images: Int64[np.ndarray, " passage"]) -> Table:
        """The logarithm of the product. aligned, images: `Pictured`"""
        return _log_shares(aligned, images, self.image, self.text)


def choose_soft_filter(lists: Iterable[Pictured], qrels: Qrels, measure: str) -> SoftFilter:
    """The temperatures with the best mean of the measure, of equals the first. lists: some judged queries at a time"""
    tried: Tried[tuple[float, float]] = Tried()
    for aligned, images in lists:
        judged = Judged.of(aligned, qrels)
        for pair in product(TEMPERATURES, TEMPERATURES):
            tried.add(pair, judged.values(_log_shares(aligned, images, *pair), measure))
    best, score = tried.best()
    return SoftFilter(*best, score)


def _log_shares(aligned: Aligned, groups: Int64[np.ndarray, " passage"], image: float, text: float) -> Table:
    """A passage that no list of a question holds takes no share of its image: it is the question itself."""
    by_text, by_image = np.where(np.logical_or.reduce(aligned.held), normalised(aligned, "zscore"), -np.inf)
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max(initial=-1) + 1))
    likeness = np.maximum.reduceat(by_image[:, order], starts, axis=1)  # query group; passages of an image are alike
    right_image = log_softmax(likeness / image, axis=1)
    scaled = by_text / text
    most = np.maximum.reduceat(scaled[:, order], starts, axis=1)  # query group
    most[np.isinf(most)] = 0.0
    total = np.add.reduceat(np.exp(scaled[:, order] - most[:, groups[order]]), starts, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Table = right_image[:, groups] + scaled - (most + np.log(total))[:, groups]
    return shares

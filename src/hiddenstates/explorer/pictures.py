"""What is asked with an image: every passage by how alike its image is."""

from dataclasses import dataclass
from pathlib import Path

from hiddenstates.core.data import KnowledgeBase
from hiddenstates.core.relevance import Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.pooled import Embeddings
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.images.features import ImageFeatures
from hiddenstates.retrieval.fusion.runs import onto_passages

CLASS_TOKEN = Strategy.parse("-1/first")
"""What CLIP's image tower pools itself (Radford et al. 2021)."""

DIGITS = 6
"""Cosines of float32 vectors that agree so far are equal: what lies beyond is rounding, and must rank nothing."""


@dataclass(frozen=True)
class Pictures:
    """The passages' images, embedded once.

    encoder:    of images
    choice:     the strategy that embeds them, and the image that is asked with
    embeddings: one a different image
    shown:      passage id -> the id of its image; without those that have none, or one that cannot be read
    """

    encoder: Encoder
    choice: Choice
    embeddings: Embeddings
    shown: dict[str, str]

    def run(self, image: Path, query: str) -> Run:
        """The cosine of this image and that of every passage that has one. LabError for one that does not open."""
        asked = self.choice.encode(self.encoder, [image], [query])
        scores = (self.embeddings.vectors @ asked.vectors[0]).astype(float).round(DIGITS)  # [image]
        return onto_passages(Run({query: dict(zip(self.embeddings.ids, scores.tolist(), strict=True))}), self.shown)


def pictures_of(kb: KnowledgeBase, features: ImageFeatures, encoder: Encoder, choice: Choice) -> Pictures | None:
    """The images of these passages; None where not one can be read."""
    images = zip(kb.ids, kb.passages["image"][:], strict=True)
    shown = {passage: features.names[name] for passage, name in images if name in features.names}
    return Pictures(encoder, choice, choice.embed(features.states), shown) if shown else None

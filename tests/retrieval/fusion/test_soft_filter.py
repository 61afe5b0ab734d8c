"""The soft filter: by hand on four passages of two images, and where it finds what a hard one loses."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from hiddenstates.core.relevance import Qrels, Run
from hiddenstates.retrieval.fusion.runs import align
from hiddenstates.retrieval.fusion.soft_filter import Pictured, SoftFilter, choose_soft_filter
from hiddenstates.retrieval.measures import evaluate

IMAGE_OF = {"a1": "a", "a2": "a", "b1": "b", "b2": "b"}
TEXT = Run({"q": {"a1": 3.0, "a2": 1.0, "b1": 3.0, "b2": 1.0, "none": 9.0}})  # mean 2, deviation 1
IMAGE = Run({"q": {"a1": 1.0, "a2": 1.0, "b1": 0.0, "b2": 0.0}})  # mean .5, deviation .5


def pictured(text: Run, image: Run, image_of: Mapping[str, str]) -> Pictured:
    """The passages that have an image."""
    kept = {query: {p: score for p, score in row.items() if p in image_of} for query, row in text.rows.items()}
    aligned = align({"text": Run(kept), "image": image})
    return aligned, np.unique([image_of[passage] for passage in aligned.passages], return_inverse=True)[1]


def applied(soft: SoftFilter, text: Run, image: Run, image_of: Mapping[str, str]) -> Run:
    aligned, images = pictured(text, image, image_of)
    return aligned.fused(soft.scores(aligned, images))


def test_the_product_of_two_softmaxes_by_hand() -> None:
    found = applied(SoftFilter(image=1.0, text=0.5, score=0.0), TEXT, IMAGE, IMAGE_OF).rows["q"]
    image_a = math.e**1 / (math.e**1 + math.e**-1)  # standardised: 1 and -1
    first = math.e**2 / (math.e**2 + math.e**-2)  # standardised 1 and -1, over .5
    expected = {"a1": image_a * first, "a2": image_a * (1 - first)}
    expected |= {"b1": (1 - image_a) * first, "b2": (1 - image_a) * (1 - first)}
    assert {passage: math.exp(score) for passage, score in found.items()} == pytest.approx(expected)
    assert sum(map(math.exp, found.values())) == pytest.approx(1)


def test_images_of_many_passages_weigh_no_more() -> None:
    """Of two images alike, the one with a single passage has all of its half."""
    text = Run({"q": {"a1": 1.0, "a2": 1.0, "a3": 1.0, "b1": 1.0}})
    image = Run({"q": {"a1": 0.5, "a2": 0.5, "a3": 0.5, "b1": 0.5}})
    found = applied(SoftFilter(1.0, 1.0, 0.0), text, image, dict.fromkeys(("a1", "a2", "a3"), "a") | {"b1": "b"})
    assert {p: math.exp(s) for p, s in found.rows["q"].items()} == pytest.approx(
        {"a1": 1 / 6, "a2": 1 / 6, "a3": 1 / 6, "b1": 1 / 2}
    )


def test_it_is_chosen_on_the_queries_of_the_qrels_and_keeps_the_second_image() -> None:
    """The right image is only the second of the question `q`; the text tells its passage apart all the more."""
    text = Run({"q": {"a1": 0.0, "a2": 0.1, "b1": 0.0, "b2": 2.0}, "other": dict.fromkeys(IMAGE_OF, 0.0)})
    image = Run({"q": {"a1": 0.52, "a2": 0.52, "b1": 0.5, "b2": 0.5}, "other": dict.fromkeys(IMAGE_OF, 0.0)})
    qrels = Qrels({"q": {"b2": 1.0}})
    judged = pictured(text.select(qrels), image.select(qrels), IMAGE_OF)
    chosen = choose_soft_filter([judged], qrels, "recall@1")
    found = applied(chosen, text, image, IMAGE_OF)
    assert set(found) == {"q", "other"}
    assert evaluate(found.select(qrels), qrels, ["recall@1"])["recall@1"].mean() == chosen.score

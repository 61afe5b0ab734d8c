"""By name and stored, side by side."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import pooled_states, save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.images.features import embed_images
from hiddenstates.images.ways import both_ways, largest_difference


def test_both_ways_are_counted_and_compared(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", 0)
    save_image(tmp_path / "b.png", 1)
    shutil.copy(tmp_path / "a.png", tmp_path / "copy.png")
    images = ["a.png", "a.png", "copy.png", "b.png", "", "missing.png"]
    rows = [{"id": f"p{i}", "text": "the " * i, "image": image} for i, image in enumerate(images)]
    kb = KnowledgeBase(table(rows, PASSAGE_COLUMNS), tmp_path, "r")
    vision = load_encoder(str(save_tiny(tmp_path / "clip", "clip")), part="vision")
    boxes = load_encoder(str(save_tiny(tmp_path / "vlt5", "vlt5")))
    features = embed_images(vision, kb, ["first"], tmp_path / "shards")
    ways = both_ways(features, vision, boxes, kb, ["mean"])
    # two different images of 4 states of 32 numbers, or of nine boxes of 32
    assert ways.iloc[0, :4].tolist() == [4, 2, 2 * 4 * 32 * 4, 4]
    assert ways.iloc[1, :4].tolist() == [4, 2, 2 * 9 * 32 * 4, 4]
    assert (ways["largest difference"] < 1e-5).all()
    with pytest.raises(LabError, match=r"clip: it makes no boxes of images\. Name a VL-T5 or VL-BART in images\.boxes"):
        both_ways(features, vision, vision, kb, ["mean"])


def test_the_largest_difference_is_that_of_any_number() -> None:
    one, other = pooled_states(3), pooled_states(3)
    assert largest_difference(one, other) == 0
    other.values["mean"][1, 2, 3] += np.float32(0.5)
    assert largest_difference(one, other) == pytest.approx(0.5, rel=1e-6)
    assert largest_difference(one.select([]), other.select([])) == 0

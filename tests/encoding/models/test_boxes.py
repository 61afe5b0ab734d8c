"""Boxes made once are the boxes made in every batch."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose
from tiny import save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.models.boxes import GridBoxes, StoredBoxes, load_boxes, store_boxes, with_stored
from hiddenstates.encoding.sharding.sharded import pool_task


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VL-T5, three pictures, and a copy of the first."""
    root = tmp_path_factory.mktemp("boxes")
    save_tiny(root / "vlt5", "vlt5")
    for i in range(3):
        save_image(root / f"{i}.png", seed=i)
    shutil.copy(root / "0.png", root / "copy.png")
    return root


@pytest.fixture
def grid(root: Path) -> GridBoxes:
    boxes = load_boxes(root / "vlt5" / "vision", 32)
    assert boxes is not None
    return boxes


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every image whose boxes are made, in turn."""
    seen: list[Path] = []
    real = GridBoxes.features

    def count(boxes: GridBoxes, images: Any) -> Any:
        seen.extend(images)
        return real(boxes, images)

    monkeypatch.setattr(GridBoxes, "features", count)
    return seen


def test_stored_boxes_are_the_grid_s(root: Path, grid: GridBoxes, embedded: list[Path]) -> None:
    images = [root / name for name in ("1.png", "0.png", "copy.png", "1.png")]
    stored = store_boxes(grid, images)
    assert len(embedded) == 2  # two of them are the first, or look like it to the last byte
    assert torch.equal(stored.features(images[:2]), grid.features(images[:2]))
    assert torch.equal(stored.features([root / "copy.png"]), stored.features([root / "0.png"]))
    assert torch.equal(stored.places(), grid.places())
    assert stored.side == grid.side


def test_an_image_that_was_not_stored_is_named(root: Path, grid: GridBoxes) -> None:
    stored = store_boxes(grid, [root / "0.png"])
    with pytest.raises(LabError, match=r"1\.png: its boxes are not among the 1 stored ones\. Store them, too"):
        stored.features([root / "0.png", root / "1.png"])
    assert store_boxes(grid, []).features([]).shape == (0, 9, 32)


def test_a_task_s_images_are_embedded_once_and_the_states_are_the_same(root: Path, embedded: list[Path]) -> None:
    rows = [
        {"id": f"p{i}", "text": "the " * i, "image": name} for i, name in enumerate(["0.png", "copy.png", "", "0.png"])
    ]
    queries = [{"id": "q0", "text": "red", "image": "1.png"}, {"id": "q1", "text": "blue flag", "image": "1.png"}]
    kb = KnowledgeBase(table(rows, PASSAGE_COLUMNS), root, "r")
    task = Task(kb, table(queries, QUERY_COLUMNS), Qrels({"q0": {"p0": 1.0}, "q1": {"p2": 1.0}}))
    encoder = load_encoder(str(root / "vlt5"))
    states = pool_task(encoder, task, ["mean"])
    assert [path.name for path in embedded] == ["0.png", "1.png"]
    inputs = encoder.reader.inputs(kb.texts(), [root / name if name else None for name in kb.passages["image"]])
    each = encoder.pool(kb.ids, [value for value in inputs if value is not None], ["mean"])
    assert len(embedded) > 2 + 2  # every batch made its own
    assert_allclose(
        states.passages.values["mean"], each.values["mean"], rtol=0, atol=1e-5
    )  # sums of another batch size


def test_a_reader_without_boxes_to_make_is_left_as_it_is(root: Path, grid: GridBoxes) -> None:
    reader = load_encoder(str(root / "vlt5")).reader
    stored = with_stored(reader, [root / "0.png"])
    assert isinstance(stored.boxes, StoredBoxes)  # type: ignore[attr-defined]
    assert with_stored(stored, [root / "1.png"]) is stored
    plain = load_encoder(str(root / "vlt5"), part="decoder").reader
    assert with_stored(plain, [root / "0.png"]) is plain

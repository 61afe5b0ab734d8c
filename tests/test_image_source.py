"""Where the images come from that are measured."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_image_task import asked

from hiddenstates.images import source
from hiddenstates.images.source import has_images, seen_and_not, with_images
from hiddenstates.images.task import image_task


def test_a_task_whose_images_find_images_is_measured_itself(tmp_path: Path) -> None:
    task = asked(tmp_path)
    assert with_images(task, tmp_path / "countries") is task
    assert not (tmp_path / "countries").exists()


@pytest.mark.parametrize("split", ["dev", "test"])
def test_without_images_to_ask_by_on_dev_or_test_there_are_none(tmp_path: Path, split: str) -> None:
    task = asked(tmp_path)
    assert not has_images(task.select(split=split))


def test_without_images_to_find_the_countries_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = asked(tmp_path)
    bare = replace(task, kb=replace(task.kb, passages=task.kb.passages.map(lambda row: row | {"image": ""})))
    monkeypatch.setattr(source, "load_task", lambda params, folder: (params.source, folder))
    assert with_images(bare, tmp_path / "countries") == ("countries", tmp_path / "countries")


def test_the_parts_are_train_s_views_and_test_s_where_there_are_any(tmp_path: Path) -> None:
    images = image_task(asked(tmp_path))
    assert {name: part.queries["id"][:] for name, part in seen_and_not(images).items()} == {
        "held-out entities": ["v1.png"]
    }
    train = replace(images, queries=images.queries.map(lambda row: row | {"split": "train"}))
    assert list(seen_and_not(train)) == ["new views of train entities"]

"""Which pictures the encoder learned from, as far as that is known."""

from dataclasses import replace
from pathlib import Path

import pytest
from tasks import asked

from hiddenstates.images.seen import read_learned, told_apart, write_learned
from hiddenstates.images.task import has_images, image_task


def test_images_that_find_images_are_seen(tmp_path: Path) -> None:
    assert has_images(asked(tmp_path))


@pytest.mark.parametrize("split", ["dev", "test"])
def test_without_images_to_ask_by_on_dev_or_test_there_are_none(tmp_path: Path, split: str) -> None:
    assert not has_images(asked(tmp_path).select(split=split))


def test_without_images_to_find_there_are_none(tmp_path: Path) -> None:
    task = asked(tmp_path)
    bare = replace(task, kb=replace(task.kb, passages=task.kb.passages.map(lambda row: row | {"image": ""})))
    assert not has_images(bare)


def test_what_was_learned_comes_back(tmp_path: Path) -> None:
    write_learned({"b", "a"}, tmp_path)
    assert read_learned(tmp_path) == {"a", "b"}


def test_where_nothing_was_trained_nothing_was_learned(tmp_path: Path) -> None:
    assert read_learned(tmp_path / "models") == frozenset()


def test_only_what_is_known_to_be_seen_is_called_so(tmp_path: Path) -> None:
    images = image_task(asked(tmp_path))
    train = replace(images, queries=images.queries.map(lambda row: row | {"split": "train"}))
    entities = set(train.queries["entity"])
    assert told_apart(train, entities) == {"train": "new views of train entities"}
    assert told_apart(images, entities) == {"test": "test"}
    assert told_apart(train, {"another"}) == {}
    assert told_apart(train, ()) == {}

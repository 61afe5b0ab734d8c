from dataclasses import replace
from pathlib import Path

from tasks import asked

from hiddenstates.images.task import image_task


def test_each_different_image_is_searched_once(tmp_path: Path) -> None:
    images = image_task(asked(tmp_path))
    assert images.kb.ids == [
        "mc.png",
        "jp.png",
    ]  # in the order of the passages; the file of Indonesia is that of Monaco
    assert images.kb.texts() == ["", ""]
    assert dict(zip(images.kb.ids, images.kb.passages["entity"], strict=True)) == {"jp.png": "jp", "mc.png": "mc"}


def test_each_image_asks_once_and_finds_what_its_questions_find(tmp_path: Path) -> None:
    images = image_task(asked(tmp_path))
    assert dict(zip(images.queries["id"], images.queries["split"], strict=True)) == {"v0.png": "dev", "v1.png": "test"}
    assert images.qrels.rows == {"v0.png": {"mc.png": 1.0}, "v1.png": {"jp.png": 2.0}}
    assert set(images.queries["text"]) == set(images.queries["template"]) == {""}


def test_without_images_nothing_is_searched_or_asked(tmp_path: Path) -> None:
    task = asked(tmp_path)
    bare = replace(task, kb=replace(task.kb, passages=task.kb.passages.select([4])), queries=task.queries.select([3]))
    images = image_task(bare)
    assert (len(images.kb.passages), len(images.queries)) == (0, 0)

from dataclasses import replace
from pathlib import Path

from PIL import Image

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels
from hiddenstates.images.task import image_task


def asked(tmp_path: Path) -> Task:
    """Two facts of Monaco, one of Indonesia, whose flag is the same file, one of Japan, and one without an image."""
    for name, colour in {"mc": "red", "id": "red", "jp": "white"}.items():
        Image.new("RGB", (4, 3), colour).save(tmp_path / f"{name}.png")
    passages = [
        {"id": f"{name}{i}", "entity": name, "image": f"{name}.png"} for name, i in [("mc", 0), ("mc", 1), ("id", 0)]
    ]
    passages += [{"id": "jp0", "entity": "jp", "image": "jp.png"}, {"id": "x0", "entity": "x"}]
    queries = [
        {"id": "q0", "image": "v0.png", "split": "dev", "set": "visual", "text": "Which capital?"},
        {"id": "q1", "image": "v0.png", "split": "dev", "set": "visual", "text": "Which money?"},
        {"id": "q2", "image": "v1.png", "split": "test", "set": "visual"},
        {"id": "q3", "text": "Where is Japan?", "split": "test", "set": "named"},
    ]
    qrels = Qrels({"q0": {"mc0": 1.0}, "q1": {"id0": 1.0}, "q2": {"jp0": 2.0, "x0": 1.0}, "q3": {"jp0": 1.0}})
    kb = KnowledgeBase(table(passages, PASSAGE_COLUMNS), tmp_path, "test")
    return Task(kb, table(queries, QUERY_COLUMNS), qrels)


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

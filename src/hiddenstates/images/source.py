"""Where the images come from that are measured: the task's own, or the countries' flags where it has none."""

from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.core.params import Corpus
from hiddenstates.corpora import load_task
from hiddenstates.images.task import image_task

NEEDED = ("dev", "test")


def has_images(task: Task) -> bool:
    """Whether images of dev and of test queries look for images of passages."""
    images = image_task(task)
    return all(any(images.select(split=split).qrels.rows.values()) for split in NEEDED)


def with_images(task: Task, folder: Path) -> Task:
    """The task itself; where it has no images, the countries with their default settings, made into the folder."""
    return task if has_images(task) else load_task(Corpus(), folder)


def seen_and_not(images: Task) -> dict[str, Task]:
    """The parts of an image task that take no part in choosing, by name; one without queries is left out.

    Pretraining learns from entities of train; the task's views of them are others.
    """
    parts = {"new views of train entities": "train", "held-out entities": "test"}
    tasks = {name: images.select(split=split) for name, split in parts.items()}
    return {name: part for name, part in tasks.items() if len(part.queries)}

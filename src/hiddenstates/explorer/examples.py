"""What to start from: questions of the task, and its images."""

from itertools import islice
from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.explorer.search import Question


def example_questions(task: Task, each: int = 3) -> dict[str, Question]:
    """So many test questions of each set, the set's name before each."""
    found = {}
    for name in task.sets:
        for row in islice(task.select(set=name, split="test").queries, each):
            image = task.kb.images / row["image"] if row["image"] else None
            found[f"{name}: {row['text']}"] = Question(row["text"], image)
    return found


def example_images(task: Task) -> dict[str, Path]:
    """The different images that the task's queries show, under what they are of and which view; sorted by that."""
    titles = dict(zip(task.kb.passages["entity"][:], task.kb.passages["title"][:], strict=True))
    found = {}
    rows = zip(*(task.queries[column][:] for column in ("image", "entity", "view")), strict=True)
    for image, entity, view in rows:
        if image:
            name = titles.get(entity, entity) or image
            found[f"{name}, view {view}" if view else name] = task.kb.images / image
    return dict(sorted(found.items()))

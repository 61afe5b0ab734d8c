"""Pictures of a task side by side: what the knowledge base has of a thing, and what questions about it carry."""

from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.images import read_image


def beside(task: Task, rows: int, across: int) -> dict[str, list[Path]]:
    """At most so many rows of at most so many files: the relevant passage's picture first, then those of the questions.

    A row is an entity, or a question that says nothing of one. Where no question carries a picture, the passages' own
    are shown, one per row. A picture that cannot be read is left out, and a row without any.
    """
    asked = _of_questions(task) or _of_passages(task)
    found: dict[str, list[Path]] = {}
    for name, images in asked.items():
        sound = [path for path in (task.kb.images / image for image in dict.fromkeys(images)) if _is_sound(path)]
        if sound:
            found[name] = sound[:across]
        if len(found) == rows:
            break
    return found


def _of_questions(task: Task) -> dict[str, list[str]]:
    image_of = {id: row["image"] for id, row in task.kb.rows(task.judged).items()}
    found: dict[str, list[str]] = {}
    for row in task.queries:
        if row["image"]:
            known = next((image_of[p] for p, grade in task.qrels[row["id"]].items() if grade > 0 and image_of[p]), None)
            found.setdefault(row["entity"] or row["id"], [known] if known else []).append(row["image"])
    return found


def _of_passages(task: Task) -> dict[str, list[str]]:
    return {row["title"] or row["id"]: [row["image"]] for row in task.kb.passages if row["image"]}


def _is_sound(path: Path) -> bool:
    try:
        read_image(path)
    except LabError:
        return False
    return True

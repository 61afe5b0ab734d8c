"""What to start from: questions of the task, and its images."""

from collections.abc import Iterator
from pathlib import Path

from hiddenstates.core.data import Task
from hiddenstates.explorer.search import Question

FIRST = "test"
"""The split that examples are of, where a set has such questions."""


def example_questions(task: Task, each: int = 3) -> dict[str, Question]:
    """So many test questions of each set, the set's name before each; as far from one another as they stand.

    No two of a set are about one entity, unless it has fewer entities, and each set begins with another.
    """
    candidates = _candidates(task, each)
    found = {}
    for place, (name, rows) in enumerate(candidates.items()):
        for row in _spread(rows, each, place / len(candidates)):
            text, image = task.queries[row]["text"], task.queries[row]["image"]
            found[f"{name}: {text}"] = Question(text, task.kb.images / image if image else None)
    return found


def _candidates(task: Task, each: int) -> dict[str, list[int]]:
    """Of each set, in the order in which they first appear, the row of the first question about each entity; where it
    has too few entities, of every question. They are of the split `FIRST`, else of any.
    """
    rows = list(zip(*(task.queries[column][:] for column in ("set", "split", "entity")), strict=True))
    tested = {name for name, split, _ in rows if split == FIRST}
    found: dict[str, list[int]] = {name: [] for name, *_ in rows}
    for place, (name, split, _) in enumerate(rows):
        if split == FIRST or name not in tested:
            found[name].append(place)
    return {name: _by_entity(places, [rows[i][2] for i in places], each) for name, places in found.items()}


def _by_entity(places: list[int], entities: list[str], each: int) -> list[int]:
    first: dict[str, int] = {}
    for place, entity in zip(places, entities, strict=True):
        first.setdefault(entity, place)
    return list(first.values()) if len(first) >= each else places


def _spread(rows: list[int], each: int, offset: float) -> Iterator[int]:
    """So many of these, at equal distances. offset: of the first, between 0 and 1 of a distance"""
    n = min(each, len(rows))
    return (rows[int((i + offset) * len(rows) / n)] for i in range(n))


def example_images(task: Task) -> dict[str, Path]:
    """The different images that the task's queries show, under what they are of and which view, and where that
    is said of another one, too, its file; sorted by that."""
    rows = list(zip(*(task.queries[column][:] for column in ("image", "entity", "view")), strict=True))
    shown = {entity for image, entity, _ in rows if image}
    titles: dict[str, str] = {}
    for part in task.kb.parts() if shown else ():
        titles |= {
            e: t for e, t in zip(part.passages["entity"][:], part.passages["title"][:], strict=True) if e in shown
        }
    found: dict[str, Path] = {}
    for image, entity, view in rows:
        if image:
            name = titles.get(entity, entity) or image
            name, path = f"{name}, view {view}" if view else name, task.kb.images / image
            found[name if found.get(name, path) == path else f"{name} ({image})"] = path
    return dict(sorted(found.items()))

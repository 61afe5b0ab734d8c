"""The search of a task's images by images, as a task of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, Row, Task, table
from hiddenstates.core.files import first_of_content
from hiddenstates.core.relevance import Qrels


def image_task(task: Task) -> Task:
    """What is searched: each different image of the passages, once. What is asked: each image of the queries, once.

    An item's id is its image's name, of files with the same content the first one's, in the order in which they first
    appear: that of `images.features`. An image is relevant where a passage that has it is relevant to a query that has
    the other. The texts are empty, the titles too, and the templates: a view is older than the questions about it.
    """
    image_of = {id: row["image"] for id, row in task.kb.rows(task.judged).items()}
    every = (name for part in task.kb.parts() for name in part.passages["image"][:])
    names = first_of_content({name: task.kb.images / name for name in every if name})
    passages, queries = _by_image(task.kb.passages, names), _by_image(task.queries, {})
    grades: dict[str, dict[str, float]] = {image: {} for image in queries}
    for query, image in zip(task.queries["id"][:], task.queries["image"][:], strict=True):
        for passage, grade in task.qrels[query].items() if image else ():
            if found := names.get(image_of[passage]):
                grades[image][found] = max(grade, grades[image].get(found, 0.0))
    kept = ("entity", "topic", "set", "split", "view")
    rows = [
        [{key: row[key] for key in kept if key in row} | {"id": image, "image": image} for image, row in found.items()]
        for found in (passages, queries)
    ]
    kb = replace(task.kb, passages=table(rows[0], PASSAGE_COLUMNS))
    return Task(kb, table(rows[1], QUERY_COLUMNS), Qrels(grades), unjudged=task.unjudged)


def has_images(task: Task) -> bool:
    """Whether images of dev and of test queries look for images of passages."""
    images = image_task(task)
    return all(any(images.select(split=split).qrels.rows.values()) for split in ("dev", "test"))


def _by_image(rows: Iterable[Row], names: Mapping[str, str]) -> dict[str, Row]:
    """The first row of each image, by the image's name; names: another to file it under."""
    found: dict[str, Row] = {}
    for row in rows:
        if row["image"]:
            found.setdefault(names.get(row["image"], row["image"]), row)
    return found

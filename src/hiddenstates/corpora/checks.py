"""What every task must hold before anything is built on it."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.images import read_image

MEASURED = ("dev", "test")  # every query set needs both: one to choose on, one to report


def checked(task: Task, source: str) -> Task:
    """The task itself, if it is sound; else LabError, which begins with `source`."""
    if not len(task.kb.passages):
        raise LabError(f"{source}: no passages. Add at least one to search.")
    _check_ids(task.kb.ids, "passage", source)
    _check_ids(task.queries["id"][:], "query", source)
    _check_judgements(task, source)
    for query_set in task.sets or [source]:
        for split in MEASURED:
            _check_split(task.select(set=query_set, split=split), f"{source}: query set {query_set!r}", split)
    _check_images(task)
    return task


def counts(task: Task) -> dict[str, Any]:
    """How much there is of everything, ready for JSON."""
    split_sizes: dict[str, dict[str, int]] = {query_set: {} for query_set in task.sets}
    for (query_set, split), n in sorted(Counter(zip(task.queries["set"], task.queries["split"], strict=True)).items()):
        split_sizes[query_set][split] = n
    return {
        "passages": len(task.kb.passages),
        "empty_passages": sum(not text for text in task.kb.texts()),
        "queries": split_sizes,
        "empty_queries": sum(not text.strip() for text in task.queries["text"]),
        "unjudged_queries": task.unjudged,
        "judgements": sum(len(task.qrels[query]) for query in task.qrels),
        "images": len(_image_names(task)),
    }


def _check_ids(ids: Iterable[str], kind: str, source: str) -> None:
    occurrences = Counter(ids)
    unfit = [i for i in occurrences if i.split() != [i] or i.startswith("\ufeff")]  # U+FEFF: a byte order mark
    if unfit:
        raise LabError(
            f"{source}: {kind} ids that are empty or hold white space: {_few(unfit)}. TREC files need one word."
        )
    twice = [i for i, n in occurrences.items() if n > 1]
    if twice:
        raise LabError(f"{source}: {kind} ids that occur more than once: {_few(twice)}. Make each unique.")


def _check_judgements(task: Task, source: str) -> None:
    queries, passages = set(task.queries["id"][:]), set(task.kb.ids)
    lost = [query for query in task.qrels if query not in queries]
    if lost:
        raise LabError(f"{source}: judged queries that do not exist: {_few(lost)}. Add them, or drop their judgements.")
    judged = dict.fromkeys(passage for query in task.qrels for passage in task.qrels[query])
    lost = [passage for passage in judged if passage not in passages]
    if lost:
        raise LabError(f"{source}: judged passages that do not exist: {_few(lost)}. Add them, or drop the judgements.")


def _check_split(part: Task, where: str, split: str) -> None:
    """part: the queries of one set and split, with their judgements."""
    if not len(part.queries):
        raise LabError(f"{where} has no {split} query. Each set needs some in {' and '.join(MEASURED)}.")
    grades = {grade for query in part.qrels for grade in part.qrels[query].values()}
    if part.measure == "similarity" and len(grades) < 2:
        raise LabError(f"{where} has one and the same score all over {split}. A correlation needs two or more.")
    if part.measure == "retrieval" and not any(grade > 0 for grade in grades):
        raise LabError(f"{where} has no {split} query with a relevant passage. Judge some above 0.")


def _image_names(task: Task) -> list[str]:
    """Each distinct image of the passages and the queries, once."""
    return [name for name in dict.fromkeys([*task.kb.passages["image"][:], *task.queries["image"][:]]) if name]


def _check_images(task: Task) -> None:
    root = Path(os.path.realpath(task.kb.images))
    for name in _image_names(task):
        try:
            path = Path(os.path.realpath(root / name))
            inside, exists = path.is_relative_to(root), path.is_file()
        except (OSError, ValueError) as error:  # too long, or with a zero byte
            raise LabError(f"{root}: {name!r} cannot be the name of an image ({error}). Rename it.") from None
        if not inside:
            raise LabError(f"{root}: image {name!r} leaves the images folder. Put the file inside and mend its name.")
        if not exists:
            raise LabError(f"{path}: no such image. Put the file there, or empty the field that names it.")
        read_image(path)


def _few(names: list[str]) -> str:
    """The first three, and how many there are."""
    return ", ".join(map(repr, names[:3])) + (f", … ({len(names)} in all)" if len(names) > 3 else "")

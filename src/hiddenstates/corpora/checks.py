"""What every task must hold before anything is built on it."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pandas.util import hash_array

from hiddenstates.core.bars import bar
from hiddenstates.core.data import MISSING, PASSAGE_COLUMNS, QUERY_COLUMNS, Dataset, Row, Task, parts, pinned, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.images import read_image

MEASURED = ("dev", "test")  # every query set needs both: one to choose on, one to report


def checked(task: Task, source: str) -> Task:
    """The task itself, if it is sound, without the images that cannot be read; else LabError with `source` first."""
    check_passages(task.kb.passages, source)
    _check_ids(task.queries, "query", source)
    _check_judgements(task, source)
    for query_set in task.sets or [source]:
        for split in MEASURED:
            _check_split(task.select(set=query_set, split=split), f"{source}: query set {query_set!r}", split)
    return _with_sound_images(task)


def counts(task: Task) -> dict[str, Any]:
    """How much there is of everything, ready for JSON."""
    split_sizes: dict[str, dict[str, int]] = {query_set: {} for query_set in task.sets}
    parts = Counter(zip(task.queries["set"][:], task.queries["split"][:], strict=True))
    for (query_set, split), n in sorted(parts.items()):
        split_sizes[query_set][split] = n
    return {
        "passages": len(task.kb.passages),
        "empty_passages": sum(not text for part in task.kb.parts() for text in part.texts()),
        "queries": split_sizes,
        "empty_queries": sum(not text.strip() for text in task.queries["text"][:]),
        "unjudged_queries": task.unjudged,
        "judgements": sum(len(task.qrels[query]) for query in task.qrels),
        "images": len(_image_names(task)),
        "missing_images": sum(fault == MISSING for fault in task.faults.values()),
        "broken_images": sum(fault != MISSING for fault in task.faults.values()),
    }


def check_passages(passages: Dataset, source: str) -> None:
    """LabError unless there are passages, each with an id of its own that a TREC file can hold."""
    if not len(passages):
        raise LabError(f"{source}: no passages. Add at least one to search.")
    _check_ids(passages, "passage", source)


def _check_ids(rows: Dataset, kind: str, source: str) -> None:
    ids = (id for part in parts(rows) for id in part["id"][:])
    unfit = [i for i in ids if i.split() != [i] or i.startswith("\ufeff")]  # U+FEFF: a byte order mark
    if unfit:
        raise LabError(
            f"{source}: {kind} ids that are empty or hold white space: {few(unfit)}. TREC files need one word."
        )
    twice = _repeated(rows)
    if twice:
        raise LabError(f"{source}: {kind} ids that occur more than once: {few(twice)}. Make each unique.")


def _repeated(rows: Dataset) -> list[str]:
    """The ids that occur more than once. Of each id only a hash is in memory, eight bytes."""
    hashed = [hash_array(np.array(part["id"][:], dtype=object), categorize=False) for part in parts(rows)]
    hashes, occurrences = np.unique(np.concatenate(hashed or [np.empty(0, np.uint64)]), return_counts=True)
    doubtful = hashes[occurrences > 1]  # two ids may have one hash
    if not len(doubtful):
        return []
    looked_at = Counter(
        id
        for part, found in zip(parts(rows), hashed, strict=True)
        for id, doubt in zip(part["id"][:], np.isin(found, doubtful), strict=True)
        if doubt
    )
    return [id for id, n in looked_at.items() if n > 1]


def _check_judgements(task: Task, source: str) -> None:
    queries = set(task.queries["id"][:])
    lost = [query for query in task.qrels if query not in queries]
    if lost:
        raise LabError(f"{source}: judged queries that do not exist: {few(lost)}. Add them, or drop their judgements.")
    judged = dict.fromkeys(passage for query in task.qrels for passage in task.qrels[query])
    there = task.kb.places(judged)
    lost = [passage for passage in judged if passage not in there]
    if lost:
        raise LabError(f"{source}: judged passages that do not exist: {few(lost)}. Add them, or drop the judgements.")


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
    every = (name for rows in (task.kb.passages, task.queries) for part in parts(rows) for name in part["image"][:])
    return [name for name in dict.fromkeys(every) if name]


def _with_sound_images(task: Task) -> Task:
    """The task with the names of images that can be read; what names another goes without, and a note says so."""
    root, names = task.kb.images, _image_names(task)
    found = {name: _found(root, name) for name in names}
    looked_at = bar(names, "images", unit="image")
    faults = {name: fault for name in looked_at if (fault := _fault(root, found[name]))}
    if names and len(faults) == len(names):
        name, fault = next(iter(faults.items()))
        raise LabError(
            f"{root}: none of the {len(names)} images can be read, first {name!r} ({fault}). "
            "Check that this is the folder they are in."
        )
    changed = {name: "" if name in faults else found[name] for name in names if name in faults or found[name] != name}
    if not changed:
        return task
    passages = table(_renamed(task.kb.passages, changed), PASSAGE_COLUMNS)
    queries = table(_renamed(task.queries, changed), QUERY_COLUMNS)
    source = task.kb.revision.rpartition("@")[0] or task.kb.revision
    kb = replace(task.kb, passages=passages, revision=pinned(source, passages))
    notes = [_image_note(root, faults, len(names))] if faults else []
    return replace(task, kb=kb, queries=queries, faults=faults, notes=(*task.notes, *notes))


def _found(root: Path, name: str) -> str:
    """The name as the file system writes it: systems differ in how they compose accents (NFC, NFD).

    LabError for a name that leads out of the folder, and for one that no file can have.
    """
    real = Path(os.path.realpath(root))
    forms = dict.fromkeys([name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)])
    try:
        chosen = next((form for form in forms if os.path.lexists(real / form)), name)
        inside = Path(os.path.realpath(real / chosen)).is_relative_to(real)
        (real / chosen).is_file()
    except (OSError, ValueError) as error:  # too long, or with a zero byte
        raise LabError(f"{root}: {name!r} cannot be the name of an image ({error}). Rename it.") from None
    if not inside:
        raise LabError(f"{root}: image {name!r} leaves the images folder. Put the file inside and correct its name.")
    return chosen


def _fault(root: Path, name: str) -> str | None:
    """Why the image cannot be read; None for one that can."""
    if not (root / name).is_file():
        return MISSING
    try:
        read_image(root / name)
    except LabError as error:
        return str(error).removeprefix(f"{root / name}: ")
    return None


def _renamed(rows: Iterable[Row], changed: Mapping[str, str]) -> Iterator[Row]:
    return ({**row, "image": changed.get(row["image"], row["image"])} for row in rows)


def _image_note(root: Path, faults: Mapping[str, str], n: int) -> str:
    kinds = {
        "missing": [name for name, fault in faults.items() if fault == MISSING],
        "broken": [f"{name} ({fault})" for name, fault in faults.items() if fault != MISSING],
    }
    told = "; ".join(f"{len(names)} {kind}: {few(names)}" for kind, names in kinds.items() if names)
    return f"{root}: {len(faults)} of {n} images cannot be read, and their passages and queries go without. {told}"


def few(names: list[str]) -> str:
    """The first three, and how many there are."""
    return ", ".join(map(repr, names[:3])) + (f", … ({len(names)} in all)" if len(names) > 3 else "")

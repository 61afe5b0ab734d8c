"""Which questions show what the image encoder learned from, where that is known."""

import json
from collections.abc import Collection
from pathlib import Path

from hiddenstates.core.data import Task

LEARNED = "learned.json"


def write_learned(entities: Collection[str], folder: Path) -> None:
    """Beside the models of the stage `pretrain`: whose pictures they learned from."""
    (folder / LEARNED).write_text(json.dumps(sorted(entities), indent=0) + "\n", encoding="utf-8")


def read_learned(folder: Path) -> frozenset[str]:
    """What `write_learned` wrote; nothing where no model was trained."""
    path = folder / LEARNED
    return frozenset(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else frozenset()


def told_apart(task: Task, learned: Collection[str]) -> dict[str, str]:
    """What to call the splits of a task that take no part in choosing: split -> name; one without queries is left out.

    learned: entities that the image encoder learned from. Where they are those of the train split, its queries show
             what was seen in training and the others what was not; of a foreign encoder nobody knows, so the splits
             keep their own names.
    """
    asked = set(task.select(split="train").queries["entity"][:])
    known = bool(asked) and asked <= set(learned)
    names = {"train": "new views of train entities", "test": "held-out entities"} if known else {"test": "test"}
    return {split: name for split, name in names.items() if len(task.select(split=split).queries)}

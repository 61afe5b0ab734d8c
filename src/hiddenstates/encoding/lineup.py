"""The encoders of params that this corpus has something for; of every other one, the sentence that says why not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hiddenstates.core.data import Task, parts
from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import resolved
from hiddenstates.core.stage import NOTHING, made
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inputs.readers import ImageReader

LEFT_OUT = "left_out.txt"
"""In the folder of an encoder that was left out: the sentence that says why."""


def load_lineup(
    sources: Mapping[str, Mapping[str, Any]], task: Task, trained: Path, **options: Any
) -> tuple[dict[str, Encoder], dict[str, str]]:
    """The encoders by their names, and why each of the others is left out.

    sources: arguments of `load_encoder` by name
    trained: the folder of the models that the stage pretrain trained; nothing in it where the data gave it no use
    options: arguments that all share

    LabError where none is left.
    """
    loaded: dict[str, Encoder] = {}
    why: dict[str, str] = {}
    for name, source in sources.items():
        reason = _untrained(source["model"], trained)
        if not reason:
            loaded[name] = load_encoder(**source, **options)
            reason = _blind(loaded[name], task)
        if reason:
            why[name] = reason
            loaded.pop(name, None)
    if not loaded:
        reasons = " ".join(f"{name}: {reason}" for name, reason in why.items())
        raise LabError(f"states.encoders: all are left out. {reasons}")
    return loaded, why


def write_left_out(folder: Path, why: Mapping[str, str]) -> None:
    """<folder>/<name>/left_out.txt for each encoder that was left out."""
    for name, reason in why.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / LEFT_OUT).write_text(reason + "\n", encoding="utf-8")


def _untrained(model: str, trained: Path) -> str:
    if made(trained) or not resolved(model).is_relative_to(trained.resolve()):
        return ""
    note = trained / NOTHING
    because = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
    return f"The stage pretrain trained no model. {because}".strip()


def _blind(encoder: Encoder, task: Task) -> str:
    if not isinstance(encoder.reader, ImageReader):
        return ""
    both = {"passage": task.kb.passages, "question": task.queries}
    bare = [kind for kind, rows in both.items() if not any(any(part["image"][:]) for part in parts(rows))]
    if not bare:
        return ""
    return f"It reads images, and no {' and no '.join(bare)} of this corpus has one. Name an encoder of texts instead."

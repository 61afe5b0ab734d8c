"""What a model's life does to its tying: made, its table resized, saved and loaded again. And the traps on the way."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from safetensors import safe_open
from transformers import PreTrainedModel
from transformers.utils import logging

from hiddenstates.core.errors import LabError
from hiddenstates.tying.audit import embeddings, groups

logging.disable_progress_bar()  # small models are written and read in a moment

MOMENTS = ("made", "resized", "reloaded")


@dataclass(frozen=True)
class Life:
    """The audits of one model's embeddings, at each of `MOMENTS`.

    asked:    tie_word_embeddings as the one who made the model asked for it
    reloaded: None on the meta device, where there is nothing to save
    written:  the names in the file that was saved
    lost:     the places that came back with other numbers
    """

    asked: bool
    made: pd.DataFrame
    resized: pd.DataFrame
    reloaded: pd.DataFrame | None
    written: tuple[str, ...]
    lost: tuple[str, ...]

    @property
    def audits(self) -> dict[str, pd.DataFrame]:
        """By moment."""
        found = {moment: getattr(self, moment) for moment in MOMENTS}
        return {moment: audit for moment, audit in found.items() if audit is not None}


def live(model: PreTrainedModel, rows: int, asked: bool = True) -> Life:
    """Follow a copy of the model through its life. rows: of the token table, once resized."""
    made, model = embeddings(model), deepcopy(model)
    resize(model, rows)
    resized = embeddings(model)
    if model.device.type == "meta":
        return Life(asked, made, resized, None, (), ())
    with tempfile.TemporaryDirectory() as name:
        again, written = _reload(model, Path(name))
    theirs = dict(again.named_parameters(remove_duplicate=False))
    ours = model.named_parameters(remove_duplicate=False)
    lost = tuple(place for place, p in ours if not torch.equal(p, theirs[place]))
    return Life(asked, made, resized, embeddings(again), written, lost)


def resize(model: PreTrainedModel, rows: int) -> None:
    """Give the token table so many rows; new ones are drawn around the mean of the old where there are numbers."""
    try:
        model.get_input_embeddings()
    except NotImplementedError as error:
        raise LabError(f"{type(model).__name__} has no one token table to resize: audit it as it is.") from error
    with _quiet():
        model.resize_token_embeddings(rows, mean_resizing=model.device.type != "meta")


def traps(life: Life) -> dict[str, list[str]]:
    """The name of each trap that this model falls into, and the places that it concerns."""
    shared = {moment: _shared(audit) for moment, audit in life.audits.items()}
    last = shared.get("reloaded", shared["resized"])
    declared = {str(place) for place, source in life.made["declared"].items() if source}
    found: dict[str, set[str]] = {
        "asked to untie, stays tied": set() if life.asked else shared["made"],
        "ties again when resized": shared["resized"] - shared["made"],
        "comes apart when resized": shared["made"] - shared["resized"],
        "comes apart when reloaded": shared["resized"] - last,
        "random after a reload": set(life.lost),
        "declared but not shared": declared - shared["made"],
        "shared but not declared": shared["made"] - declared - set(life.made["declared"]),
    }
    return {name: sorted(places) for name, places in found.items() if places}


def letters(life: Life, places: Sequence[str]) -> pd.DataFrame:
    """A row a place, a column a moment: A for the first tensor, B for the next; places of one letter are one tensor.

    A letter with `?` holds other numbers than were saved.
    """
    columns = {}
    for moment, audit in life.audits.items():
        held = audit.loc[list(places), "object"]
        letter = {first: chr(ord("A") + i) for i, first in enumerate(held.unique())}
        columns[moment] = held.map(letter)
    table = pd.DataFrame(columns)
    if "reloaded" in table:
        table.loc[table.index.isin(life.lost), "reloaded"] += "?"
    return table


def _shared(audit: pd.DataFrame) -> set[str]:
    return {place for group in groups(audit) for place in group}


def _reload(model: PreTrainedModel, folder: Path) -> tuple[PreTrainedModel, tuple[str, ...]]:
    with _quiet():
        model.save_pretrained(folder)
        with safe_open(folder / "model.safetensors", "pt") as file:
            written = tuple(sorted(file.keys()))
        return type(model).from_pretrained(folder), written


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers warns of what is measured here."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)

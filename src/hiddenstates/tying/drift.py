"""What training moved in a token table: each row at epoch 0 against the same row at epoch N."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from hiddenstates import multimodal  # noqa: F401  registers VL-T5 and VL-BART
from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError

disable_progress_bar()  # weights load in a moment

EPOCHS = ("untrained", "trained")
KINDS = ("special", "word", "word, held out", "extra id", "visual id", "no token")
_NUMBERED = re.compile(r"<(?P<visual>vis_)?extra_id_\d+>")
Table = Float[np.ndarray, "row d_model"]


def load_epochs(folder: Path) -> dict[str, PreTrainedModel]:
    """The model at epoch 0 and at epoch N, by `EPOCHS`, with its head."""
    models = {}
    for epoch in EPOCHS:
        if not (folder / epoch / "config.json").is_file():
            raise LabError(f"{folder / epoch}: no model in it. Run the stage `pretrain` again.")
        models[epoch] = AutoModelForSeq2SeqLM.from_pretrained(folder / epoch, use_safetensors=True).eval()
    return models


def kinds(tokenizer: Any, rows: int, read: Collection[int]) -> list[str]:
    """What each row of the token table stands for, one of `KINDS`. read: the tokens that training may see."""
    special = set(tokenizer.all_special_ids)
    tokens = tokenizer.convert_ids_to_tokens(list(range(min(rows, len(tokenizer)))))
    named = [_kind(token, i in special, i in read) for i, token in enumerate(tokens)]
    return named + ["no token"] * (rows - len(named))


def open_to_training(task: Task, tokenizer: Any) -> set[int]:
    """The tokens of what training may read. Those that occur elsewhere only are held out.

    It may read the passages about entities that no dev or test query asks about, and the train queries.
    """
    asked = list(zip(task.queries["entity"][:], task.queries["split"][:], task.queries["text"][:], strict=True))
    held_out = {entity for entity, split, _ in asked if entity and split != "train"}
    about = zip(task.kb.passages["entity"][:], task.kb.texts(), strict=True)
    texts = [text for entity, text in about if entity not in held_out]
    encoded = tokenizer(texts + [text for _, split, text in asked if split == "train"], add_special_tokens=False)
    return {i for ids in encoded["input_ids"] for i in ids}


def row_drift(before: Table, after: Float[np.ndarray, "later width"], kinds: Iterable[str]) -> pd.DataFrame:
    """For each row of the table: kind; cosine of the two; moved, the length of their difference over the first's.

    A row of length 0 before has no direction to keep: it is left out.
    """
    if before.shape != after.shape:
        raise LabError(f"the table has shape {before.shape} at epoch 0 and {after.shape} later: not one model.")
    lengths = np.linalg.norm(before, axis=1)
    cosine = (before * after).sum(1) / np.maximum(lengths * np.linalg.norm(after, axis=1), 1e-12)
    moved = np.linalg.norm(after - before, axis=1) / np.maximum(lengths, 1e-12)
    return pd.DataFrame({"kind": list(kinds), "cosine": cosine, "moved": moved})[lengths > 0]


def by_kind(drift: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row per kind that occurs: rows, value (the median of the column), low and high (its quartiles)."""
    grouped = drift.groupby("kind")[column]
    low, value, high = (grouped.quantile(q) for q in (0.25, 0.5, 0.75))
    table = pd.DataFrame({"rows": grouped.size(), "value": value, "low": low, "high": high})
    return table.reindex([kind for kind in KINDS if kind in table.index])


def model_drift(folder: Path, task: Task) -> pd.DataFrame:
    """`row_drift` of the token table of the two models in a folder of the stage `pretrain`."""
    tokenizer = AutoTokenizer.from_pretrained(folder / EPOCHS[-1])
    tables = {epoch: token_table(model) for epoch, model in load_epochs(folder).items()}
    named = kinds(tokenizer, len(tables["untrained"]), open_to_training(task, tokenizer))
    return row_drift(tables["untrained"], tables["trained"], named)


@torch.no_grad()
def token_table(model: PreTrainedModel) -> Table:
    """The rows of the model's token table."""
    embedding: Any = model.get_input_embeddings()
    rows: Table = embedding.weight.float().numpy()
    return rows


def _kind(token: str, special: bool, read: bool) -> str:
    if found := _NUMBERED.fullmatch(token):
        return "visual id" if found["visual"] else "extra id"
    if special:
        return "special"
    return "word" if read else "word, held out"

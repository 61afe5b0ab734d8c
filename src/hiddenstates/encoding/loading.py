"""The reader of a family, from the model's folder."""

from pathlib import Path
from typing import Any

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.boxes import TextImageReader, load_boxes
from hiddenstates.encoding.families import Family
from hiddenstates.encoding.models import load_image_processor, load_tokenizer
from hiddenstates.encoding.readers import ImageReader, Reader, TextReader


def load_reader(family: Family, folder: Path, model: Any, max_tokens: int) -> Reader:
    """What reads the inputs of the model, a module that runs `family`."""
    if family.reads == "image":
        places = model.get_submodule(family.positions).num_embeddings
        return ImageReader(load_image_processor(folder), places)
    tokenizer = load_tokenizer(folder)
    eos_id = getattr(tokenizer, f"{family.eos_token}_id")
    if eos_id is None or tokenizer.pad_token_id is None:
        raise LabError(
            f"model {folder}: its tokenizer has no {family.eos_token} or no pad_token. Set it and save it again."
        )
    start = _start(folder, model.config) if family.reads == "text, shifted" else None
    text = TextReader(tokenizer, eos_id, min(max_tokens, _positions(model, family, max_tokens)), start)
    if family.reads == "text and boxes":
        return TextImageReader(text, load_boxes(folder / "vision", model.config.feat_dim))
    return text


def _positions(model: Any, family: Family, unbounded: int) -> int:
    """How many tokens the model has positions for.

    RoBERTa and MPNet start counting after the padding's own position, BART after two that nothing uses.
    """
    if not family.positions:
        return unbounded
    table = model.get_submodule(family.positions)
    unused = 0 if table.padding_idx is None else table.padding_idx + 1
    rows: int = table.num_embeddings
    return rows - getattr(table, "offset", unused)


def _start(folder: Path, config: Any) -> int:
    """The token that a decoder reads first."""
    start: int | None = config.decoder_start_token_id
    if start is None:
        raise LabError(f"model {folder}: its config has no decoder_start_token_id. Set it and save it again.")
    return start

"""The reader of a part of a model, from the model's folder."""

from pathlib import Path
from typing import Any

from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.forward.families import Part
from hiddenstates.encoding.inputs.readers import ImageReader, Reader, Special, TextReader
from hiddenstates.encoding.models.boxes import TextImageReader, load_boxes
from hiddenstates.encoding.models.files import load_image_processor, load_tokenizer
from hiddenstates.encoding.models.published import read_published
from hiddenstates.tokenizing.faults import too_large

SAMPLES = ("a", "0", "the", "は", "é")
"""Texts, one of which every tokenizer makes tokens of."""

UNSAID = 512
"""Tokens that a text is cut to where neither the folder nor the tokenizer names a limit."""

MOST = 8192
"""Tokens that a text is cut to where the tokenizer names more: attention takes memory by their square."""


def load_reader(part: Part, folder: Path, model: Any, max_tokens: int | None) -> Reader:
    """What reads the inputs of the model, which runs the part. The places of an image are not counted yet.

    max_tokens: a longer text is cut there; None is what the folder says, else its tokenizer, else `UNSAID`
    """
    if part.reads == "image":
        return ImageReader(load_image_processor(folder), places=1)
    tokenizer = load_tokenizer(folder)
    _check_table(folder, tokenizer, model)
    start = _start(folder, model.config) if part.reads == "text, shifted" else None
    longest = max_tokens or read_published(folder).reading.max_tokens or _said(tokenizer)
    text = TextReader(tokenizer, longest, special_tokens(tokenizer, part.left.first_end), start, part.left.filled)
    if part.reads == "text and boxes":
        return TextImageReader(text, load_boxes(folder / "vision", model.config.feat_dim))
    return text


def _said(tokenizer: Any) -> int:
    """The longest text by the tokenizer's own file."""
    said: int = tokenizer.model_max_length
    return UNSAID if said >= VERY_LARGE_INTEGER else min(said, MOST)


def special_tokens(tokenizer: Any, first_end: bool = False) -> Special:
    """The tokens that the tokenizer puts around a text, seen from what it makes of one."""
    for text in SAMPLES:
        bare, whole = (tokenizer(text, add_special_tokens=added)["input_ids"] for added in (False, True))
        start = next((i for i in range(len(whole)) if bare and whole[i : i + len(bare)] == bare), None)
        if start is not None:
            before, after = tuple(whole[:start]), tuple(whole[start + len(bare) :])
            ends = [id for id in (tokenizer.eos_token_id, tokenizer.sep_token_id, *after[-1:]) if id in after]
            back = after[::-1].index(ends[0]) if ends else 0
            return Special(before, after, ends[0] if ends else None, back, first_end)
    return Special()


def _check_table(folder: Path, tokenizer: Any, model: Any) -> None:
    """LabError for a tokenizer whose ids go beyond the model's table of embeddings."""
    rows = getattr(_table(model), "num_embeddings", None)
    if rows is not None and (fault := too_large(tokenizer, rows)):
        raise LabError(f"model {folder}: {fault}")


def _table(model: Any) -> Any:
    try:
        return model.get_input_embeddings()
    except (AttributeError, NotImplementedError):  # of a model that hashes its ids, or hides its table
        return None


def _start(folder: Path, config: Any) -> int:
    """The token that a decoder reads first."""
    start: int | None = getattr(config, "decoder_start_token_id", None)
    if start is None:
        raise LabError(f"model {folder}: its config has no decoder_start_token_id. Set it and save it again.")
    return start

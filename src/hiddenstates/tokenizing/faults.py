"""What is wrong with a tokenizer, in words: by itself, and beside the model that reads its ids."""

from collections.abc import Iterator
from typing import Any

FEWEST = 100  # entries that are no special tokens; the smallest real vocabularies, of bytes, have 256
RARE = "\U00012000"  # a cuneiform sign: only who reads bytes, or says "unknown", makes anything of it


def faults(tokenizer: Any, config: Any = None) -> list[str]:
    """One sentence a fault, none for a sound tokenizer.

    config: of the model that reads its ids, to hold its table of embeddings and its special ids against them
    """
    found = [*_vocabulary(tokenizer), *_padding(tokenizer), *_unknown(tokenizer), *_pairs(tokenizer)]
    return found if config is None else [*found, *_beside(tokenizer, config.get_text_config())]


def entries(tokenizer: Any) -> int:
    """How many rows a table of embeddings needs for every id: the largest id and one."""
    return int(max(tokenizer.get_vocab().values(), default=-1)) + 1


def learned(tokenizer: Any) -> int:
    """How many entries were learned from texts: neither special nor added."""
    vocabulary = tokenizer.get_vocab().keys()
    return len(vocabulary - set(tokenizer.all_special_tokens) - set(tokenizer.get_added_vocab()))


def too_large(tokenizer: Any, rows: int) -> str | None:
    """The fault of a tokenizer whose ids go beyond the model's table of embeddings, of so many rows."""
    if (needed := entries(tokenizer)) > rows:
        return f"ids go up to {needed - 1}, the model's table has {rows} rows. Resize it, or mend the tokenizer."
    return None


def _vocabulary(tokenizer: Any) -> Iterator[str]:
    if (n := learned(tokenizer)) < FEWEST:
        yield f"a vocabulary of {n} entries besides special tokens: its file was not read. Load it from its folder."


def _padding(tokenizer: Any) -> Iterator[str]:
    pad = tokenizer.pad_token
    if pad is None:
        yield "no pad token: texts of several lengths cannot share a batch. Set pad_token to an entry that it has."
        return
    roles = [role for role in ("bos", "eos", "sep", "cls", "mask", "unk") if getattr(tokenizer, f"{role}_token") == pad]
    if roles:
        yield f"pad is {pad}, as {' and '.join(roles)} is: a mask made of the ids hides both. Use the tokenizer's own."


def _unknown(tokenizer: Any) -> Iterator[str]:
    if not tokenizer(RARE, add_special_tokens=False)["input_ids"]:
        yield "what is not in the vocabulary vanishes without a token. Set unk_token, or read bytes."


def _pairs(tokenizer: Any) -> Iterator[str]:
    alone, pair = (tokenizer(*texts)["input_ids"] for texts in (("a",), ("a", "a")))
    if len(alone) > len(tokenizer("a", add_special_tokens=False)["input_ids"]) and len(pair) < len(alone) + 2:
        yield "two texts come out with nothing between them, though one has its special tokens. Join them by hand."


def _beside(tokenizer: Any, config: Any) -> Iterator[str]:
    rows, needed = config.vocab_size, entries(tokenizer)
    if fault := too_large(tokenizer, rows):
        yield fault
    if needed < rows:
        yield f"{rows - needed} of the {rows} rows of the model's table belong to no token: they are never read."
    for role in ("pad", "bos", "eos"):
        ours, theirs = getattr(tokenizer, f"{role}_token_id"), getattr(config, f"{role}_token_id", None)
        if None not in (ours, theirs) and ours != theirs:
            yield f"{role} is {ours} to the tokenizer and {theirs} to the model. Trust the tokenizer, mend the other."
    places, longest = getattr(config, "max_position_embeddings", None), tokenizer.model_max_length
    if places and longest > places:
        yield f"texts are cut at {longest} tokens, the model has {places} positions. Pass max_length={places} or less."

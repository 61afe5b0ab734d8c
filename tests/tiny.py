"""Tiny models with random weights, made on the spot: what the tests need of an encoder, offline and in a moment."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from hiddenstates.encoding.families import State
from hiddenstates.encoding.pooled import PooledStates
from hiddenstates.encoding.pooling import HiddenStates

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [
    "the",
    "of",
    "is",
    "capital",
    "flag",
    "river",
    "city",
    "bern",
    "paris",
    "rome",
    "red",
    "blue",
    "france",
    "italy",
    "##s",
    "##n",
]
VOCABULARY = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
STATES = (State("embeddings", "norm"), State("layer.0", "norm"), State("layer.1", ""))


def tiny_model(model_type: str, **changes: Any) -> Any:
    """A model of this type with random weights: 3 layers, 4 heads, 32 dimensions, in evaluation mode."""
    size = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
    size |= {"vocab_size": 100, "max_position_embeddings": 40} | changes
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(model_type, **size)).eval()


def save_tokenizer(folder: Path) -> None:
    """A WordPiece tokenizer over `VOCABULARY`."""
    pieces = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, VOCABULARY[token]) for token in ("[CLS]", "[SEP]")]
    pieces.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)


def save_tiny(folder: Path, model_type: str = "bert", **changes: Any) -> Path:
    """A tiny model and its tokenizer, as `save_pretrained` leaves them."""
    tiny_model(model_type, **changes).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def random_states(lengths: list[int], seed: int = 0) -> HiddenStates:
    """The states of random texts of these lengths, padded right with values that no pooling may see."""
    random = torch.Generator().manual_seed(seed)
    width = max(lengths)
    values = torch.randn(len(STATES), len(lengths), width, 4, generator=random)
    size = torch.tensor(lengths)
    mask = torch.arange(width) < size[:, None]
    return HiddenStates(values.where(mask[None, :, :, None], 1000.0), mask, size - 1, STATES)


def pooled_states(items: int, seed: int = 0, d_model: int = 8, fingerprint: str = "abc") -> PooledStates:
    """Random pooled states of `items` items under `first` and `mean`."""
    random = np.random.default_rng(seed)
    values = {p: random.standard_normal((len(STATES), items, d_model)).astype("float32") for p in ("first", "mean")}
    return PooledStates([f"p{i}" for i in range(items)], values, STATES, fingerprint)

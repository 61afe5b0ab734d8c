"""Tiny models with random weights, made on the spot: what the tests need of an encoder, offline and in a moment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, CLIPImageProcessorPil, PreTrainedTokenizerFast, SiglipImageProcessorPil

import hiddenstates.multimodal  # noqa: F401 (transformers learns of VL-T5 and VL-BART)
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.embeddings.pooling import HiddenStates
from hiddenstates.encoding.forward.families import State
from hiddenstates.encoding.inputs.readers import TextImage

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
TOWER = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
VOCABULARY = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
STATES = (State("embeddings", "norm"), State("layer.0", "norm"), State("layer.1", ""))


SIZES: dict[str, dict[str, Any]] = {
    "t5": {"d_model": 32, "num_layers": 3, "num_decoder_layers": 3, "num_heads": 4, "d_kv": 8, "d_ff": 48}
    | {"vocab_size": 100, "decoder_start_token_id": 0, "eos_token_id": 3},
    "bart": {"d_model": 32, "encoder_layers": 3, "decoder_layers": 3, "vocab_size": 100, "max_position_embeddings": 40}
    | {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
    | {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3},
    "clip_text_model": TOWER
    | {"vocab_size": 100, "max_position_embeddings": 40}
    | {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3},
    "clip_vision_model": TOWER | {"image_size": 12, "patch_size": 4},
}
"""What a configuration says of the size, where it is not said as in BERT."""
SIZES["mt5"] = SIZES["t5"]
SIZES["qwen3"] = TOWER | {"vocab_size": 100, "max_position_embeddings": 40, "num_key_value_heads": 2, "head_dim": 8}
SIZES["siglip_text_model"] = TOWER | {"vocab_size": 100, "max_position_embeddings": 16, "projection_size": 24}
SIZES["siglip_text_model"] |= {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
SIZES["siglip_vision_model"] = SIZES["clip_vision_model"]
SIZES["siglip"] = {f"{name}_config": SIZES[f"siglip_{name}_model"] for name in ("text", "vision")}
BOXES = {"feat_dim": 32, "n_vis_ids": 12}
SIZES |= {"vlt5": SIZES["t5"] | BOXES | {"initializer_factor": 0.5}, "vlbart": SIZES["bart"] | BOXES}
SIZES["clip"] = {name: SIZES[f"clip_{name}_model"] for name in ("text", "vision")}
SIZES["clip"] = {f"{name}_config": size for name, size in SIZES["clip"].items()} | {"projection_dim": 16}


@dataclass(frozen=True)
class Kind:
    """A part of a model type, and what its inputs are."""

    model_type: str
    part: str = ""
    reads: str = "text"


KINDS = {kind: Kind(kind) for kind in ("bert", "distilbert", "mpnet")} | {
    "t5 encoder": Kind("t5", "encoder"),
    "bart encoder": Kind("bart", "encoder"),
    "vl-t5": Kind("vlt5", "encoder", "text and boxes"),
    "vl-bart": Kind("vlbart", "encoder", "text and boxes"),
    "t5 decoder": Kind("t5", "decoder", "text, shifted"),
    "bart decoder": Kind("bart", "decoder", "text, shifted"),
    "clip text": Kind("clip", "text"),
    "clip vision": Kind("clip", "vision", "image"),
}
"""A part of each kind that the lab's own pipeline knows."""


def tiny_model(model_type: str, **changes: Any) -> Any:
    """A model of this type with random weights: 3 layers, 4 heads, 32 dimensions, in evaluation mode."""
    size = SIZES.get(model_type, TOWER | {"vocab_size": 100, "max_position_embeddings": 40})
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(model_type, **(size | changes))).eval()


def tiny_tokenizer(model_type: str = "bert") -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer over `VOCABULARY`. T5's texts have an end only, all others a start, too."""
    pieces = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, VOCABULARY[token]) for token in ("[CLS]", "[SEP]")]
    form = "$A [SEP]" if model_type in ("t5", "mt5", "vlt5") else "[CLS] $A [SEP]"
    pieces.post_processor = processors.TemplateProcessing(form, special_tokens=ends)
    names = ("cls_token", "sep_token") if model_type not in SIZES else ("bos_token", "eos_token")
    special = dict(zip(names, ("[CLS]", "[SEP]"), strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]", **special)


def save_tokenizer(folder: Path, model_type: str = "bert") -> None:
    """`tiny_tokenizer`, as `save_pretrained` leaves it."""
    tiny_tokenizer(model_type).save_pretrained(folder)


def save_tiny(folder: Path, model_type: str = "bert", **changes: Any) -> Path:
    """A tiny model and what reads its inputs, as `save_pretrained` leaves them."""
    tiny_model(model_type, **changes).save_pretrained(folder)
    if not model_type.endswith("_vision_model"):
        save_tokenizer(folder, model_type)
    if model_type in ("clip", "clip_vision_model"):
        side = {"height": 12, "width": 12}
        CLIPImageProcessorPil(size={"shortest_edge": 12}, crop_size=side).save_pretrained(folder)
    if model_type in ("siglip", "siglip_vision_model"):
        SiglipImageProcessorPil(size={"height": 12, "width": 12}).save_pretrained(folder)
    if model_type in ("vlt5", "vlbart"):
        save_tiny(folder / "vision", "clip_vision_model")
    return folder


def save_image(path: Path, seed: int, size: tuple[int, int] = (16, 11)) -> Path:
    """A picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(256, size=(*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def inputs_of(reads: str, texts: list[str], folder: Path) -> list[Any]:
    """What a reader of this kind reads: the texts, a picture for each, or both."""
    images = [save_image(folder / f"{i}.png", seed=i) for i in range(len(texts))]
    read = {"image": images, "text and boxes": [TextImage(*pair) for pair in zip(texts, images, strict=True)]}
    return read.get(reads, texts)


def random_states(lengths: list[int], seed: int = 0) -> HiddenStates:
    """The states of random texts of these lengths, padded right with values that no pooling may see."""
    random = torch.Generator().manual_seed(seed)
    width = max(lengths)
    values = torch.randn(len(STATES), len(lengths), width, 4, generator=random)
    size = torch.tensor(lengths)
    mask = torch.arange(width) < size[:, None]
    return HiddenStates(values.where(mask[None, :, :, None], 1000.0), mask, size - 1, STATES, pooler=largest)


def largest(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A pooler: twice the largest value of each dimension."""
    return 2 * values.masked_fill(~mask[:, :, None], -torch.inf).amax(1)


def pooled_states(items: int, seed: int = 0, d_model: int = 8, fingerprint: str = "abc") -> PooledStates:
    """Random pooled states of `items` items under `first` and `mean`."""
    random = np.random.default_rng(seed)
    values = {p: random.standard_normal((len(STATES), items, d_model)).astype("float32") for p in ("first", "mean")}
    return PooledStates([f"p{i}" for i in range(items)], values, STATES, fingerprint)

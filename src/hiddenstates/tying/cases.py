"""Models to audit: small ones with random weights, whose values can be followed, and full-size ones without any."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    CLIPConfig,
    CLIPModel,
    PreTrainedConfig,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from hiddenstates.core.errors import LabError
from hiddenstates.multimodal import (
    VLBartConfig,
    VLBartForConditionalGeneration,
    VLT5Config,
    VLT5ForConditionalGeneration,
)


@dataclass(frozen=True)
class Case:
    """A family's class with its head, and what makes a small one.

    full: the configuration of the published base size
    """

    config: type[PreTrainedConfig]
    model: type[PreTrainedModel]
    small: Mapping[str, Any]
    full: PreTrainedConfig


_T5 = {"vocab_size": 60, "d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 1, "num_heads": 4}
_SIDE = {"layers": 1, "attention_heads": 4, "ffn_dim": 32}
_BART = {"vocab_size": 60, "d_model": 16, "max_position_embeddings": 40}
_BART |= {f"{side}_{key}": n for side in ("encoder", "decoder") for key, n in _SIDE.items()}
_BERT = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 32}
_TOWER = {k: v for k, v in _BERT.items() if k != "vocab_size"}
_CLIP = {
    "text_config": _BERT | {"bos_token_id": 58, "eos_token_id": 59},
    "vision_config": _TOWER | {"image_size": 32, "patch_size": 8},
}
_BOXES = {"feat_dim": 8, "n_vis_ids": 10}
_BART_BASE: dict[str, Any] = {
    f"{side}_{key}": n for side in ("encoder", "decoder") for key, n in (("layers", 6), ("ffn_dim", 3072))
}
_BART_BASE |= {"encoder_attention_heads": 12, "decoder_attention_heads": 12, "d_model": 768}
_T5_BASE: dict[str, Any] = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}

CASES = {
    "BERT": Case(BertConfig, BertForMaskedLM, _BERT, BertConfig()),
    "T5": Case(T5Config, T5ForConditionalGeneration, _T5, T5Config(**_T5_BASE)),
    "BART": Case(BartConfig, BartForConditionalGeneration, _BART, BartConfig(**_BART_BASE)),
    "CLIP": Case(CLIPConfig, CLIPModel, _CLIP, CLIPConfig(text_config={}, vision_config={})),
    "VL-T5": Case(VLT5Config, VLT5ForConditionalGeneration, _T5 | _BOXES, VLT5Config()),
    "VL-BART": Case(VLBartConfig, VLBartForConditionalGeneration, _BART | _BOXES, VLBartConfig()),
}
"""The families of the notes. Base sizes: bert-base, t5-base, bart-base, CLIP ViT-B/32, and Cho et al. 2021's."""


def small(name: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A model of this family with random weights, 16 wide, in evaluation mode. changes: keys of its configuration."""
    case = _case(name)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return case.model(case.config(**{**case.small, **changes})).eval()


def full_size(name: str) -> PreTrainedModel:
    """The base size on the meta device: every shape, no memory."""
    case = _case(name)
    with torch.device("meta"):
        return case.model(case.full)


def _case(name: str) -> Case:
    if name not in CASES:
        raise LabError(f"tying: no family {name!r} to make. Known: {', '.join(CASES)}.")
    return CASES[name]

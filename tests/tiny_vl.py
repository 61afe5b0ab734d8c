"""Tiny VL-T5 and VL-BART with random weights, and boxes for them."""

from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM

from hiddenstates.multimodal import VLBartConfig, VLT5Config

BOXES = {"vocab_size": 40, "d_model": 16, "feat_dim": 6, "n_vis_ids": 10}
T5 = {"d_kv": 4, "d_ff": 20, "num_layers": 2, "num_heads": 4}
SIDE = {"layers": 2, "attention_heads": 4, "ffn_dim": 20}
BART = {f"{side}_{key}": n for side in ("encoder", "decoder") for key, n in SIDE.items()}


def tiny_config(model_type: str, **changes: Any) -> Any:
    """2 layers, 4 heads, 16 dimensions, 40 rows of which the last 10 are visual ids."""
    if model_type == "vlt5":
        return VLT5Config(**(BOXES | T5 | changes))
    return VLBartConfig(**(BOXES | BART | {"max_position_embeddings": 12} | changes))


def tiny_vl(model_type: str, **changes: Any) -> Any:
    """With a head, in evaluation mode, every weight random: no bias is zero and no norm is one."""
    model = AutoModelForSeq2SeqLM.from_config(tiny_config(model_type, **changes)).eval()
    random = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=random) + (parameter.ndim == 1)
    return model


def boxes(batch: int = 2, n_boxes: int = 3, seed: int = 0) -> dict[str, Tensor]:
    """`vis_feats` and `vis_pos` of random boxes."""
    random = torch.Generator().manual_seed(seed)
    sides = torch.rand(batch, n_boxes, 2, 2, generator=random).sort(-1).values
    return {"vis_feats": torch.randn(batch, n_boxes, 6, generator=random), "vis_pos": sides.flatten(2)}

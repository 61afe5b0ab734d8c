"""What a forward pass does with the tables: which it reads, and what it multiplies their rows by."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hiddenstates.core.errors import LabError
from hiddenstates.tying.audit import embeddings


@dataclass(frozen=True)
class Points:
    """Where a family's factors can be seen.

    first:     the module that takes in what the encoder made of the token embeddings
    positions: tables of positions that are added on the way there, put to 0 for the measurement
    """

    first: str
    positions: tuple[str, ...] = ()


POINTS = {
    "t5": Points("encoder.block.0"),
    "bart": Points("model.encoder.layernorm_embedding", ("model.encoder.embed_positions",)),
}
"""By `config.model_type`, for models with a head."""


@dataclass(frozen=True)
class Scaling:
    """input: factor on the rows of the token table; output: factor on the decoder's states before the head."""

    input: float
    output: float


@torch.no_grad()
def measure_scaling(model: PreTrainedModel) -> Scaling:
    """One forward pass of a copy of the model, its inputs caught where they arrive.

    Each factor is the least-squares slope of what arrives on what was there before (Vaswani et al. 2017, section 3.4,
    multiply by √d_model going in; T5 by 1/√d_model going out).
    """
    if model.config.model_type not in POINTS:
        raise LabError(f"no points to measure {model.config.model_type!r} at. Known: {', '.join(POINTS)}.")
    points, model = POINTS[model.config.model_type], deepcopy(model).eval()
    for path in points.positions:
        nn.init.zeros_(model.get_submodule(path).weight)  # type: ignore[arg-type]
    ids = torch.arange(8)[None] % model.config.vocab_size  # batch 1, 8 tokens
    with _arriving(model.get_submodule(points.first)) as entered, _arriving(model.get_output_embeddings()) as left:
        states = model(input_ids=ids, decoder_input_ids=ids, output_hidden_states=True).decoder_hidden_states[-1]
    rows = model.get_encoder().get_input_embeddings().weight[ids]  # not the model's own: an untied BART reads another
    return Scaling(_slope(entered[0], rows), _slope(left[0], states))


def unread(model: PreTrainedModel) -> list[str]:
    """The embeddings that a forward pass of an encoder-decoder does not read: no gradient reaches them."""
    model = deepcopy(model).eval()
    ids = torch.arange(8)[None] % model.config.vocab_size
    model(input_ids=ids, decoder_input_ids=ids).logits.sum().backward()
    return [place for place in embeddings(model).index if model.get_parameter(place).grad is None]


def _slope(after: Tensor, before: Tensor) -> float:
    after, before = after.double().flatten(), before.double().flatten()
    return float(after @ before / (before @ before))


@contextmanager
def _arriving(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the first input of each call of the module."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(inputs[0])

    handle = module.register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()

"""Who sees whom: change one token and see at which positions the states change."""

import torch
from jaxtyping import Bool
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import Encoder


def changed(encoder: Encoder, tokens: list[int], position: int, token: int) -> Bool[Tensor, "layer position"]:
    """Where any number of a state changes, to the last bit, when `token` stands at `position` of the text instead."""
    if not 0 <= position < len(tokens) or tokens[position] == token:
        raise LabError(f"causality: position {position} of {len(tokens)} tokens must exist and get another token.")
    other = [*tokens[:position], token, *tokens[position + 1 :]]
    before, after = (encoder.states_of(ids, torch.ones_like(ids)) for ids in map(_batch, (tokens, other)))
    return (before.values != after.values).any(-1)[:, 0]


def _batch(tokens: list[int]) -> Tensor:
    return torch.tensor([tokens])

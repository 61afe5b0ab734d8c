"""Batches that somebody else tokenised and padded, on whichever side."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.functional import pad

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.embeddings.pooling import HiddenStates


def compacted(
    input_ids: Int[Tensor, "batch position"], attention_mask: Tensor | None, max_tokens: int
) -> tuple[list[list[int]], list[int]]:
    """The tokens of each row without its padding, and the position at which they start."""
    if attention_mask is None:
        raise LabError("states_of: no attention mask. Pass the tokenizer's, so that padding is not read as text.")
    if attention_mask.shape != input_ids.shape:
        raise LabError(
            f"states_of: a mask of shape {tuple(attention_mask.shape)} for tokens of shape {tuple(input_ids.shape)}. "
            "Pass the two as the tokenizer made them."
        )
    spans = [_span(i, row, max_tokens) for i, row in enumerate(attention_mask.bool())]
    rows = [ids[start:end].tolist() for ids, (start, end) in zip(input_ids, spans, strict=True)]
    return rows, [start for start, _ in spans]


def moved_back(states: HiddenStates, starts: Sequence[int], width: int) -> HiddenStates:
    """States that are padded on the right, at the positions that their tokens came from, `width` in all."""
    more = width - states.mask.shape[1]
    values, mask = pad(states.values, (0, 0, 0, more)), pad(states.mask, (0, more))
    shifts = torch.tensor(starts)
    source = (torch.arange(width) - shifts[:, None]) % width  # [batch, position]
    rows = torch.arange(len(starts))[:, None]
    eos = states.eos if states.eos is None else torch.where(states.eos < 0, -1, states.eos + shifts)
    return replace(states, values=values[:, rows, source], mask=mask[rows, source], eos=eos)


def _span(i: int, mask: Tensor, max_tokens: int) -> tuple[int, int]:
    """Where the row's tokens start and end."""
    places = mask.nonzero()[:, 0].tolist()
    if not places:
        raise LabError(f"states_of: row {i} is nothing but padding. Leave it out.")
    start, end = places[0], places[-1] + 1
    if end - start != len(places):
        raise LabError(f"states_of: the mask of row {i} has a hole. Padding belongs to the left or right of a text.")
    if len(places) > max_tokens:
        raise LabError(f"states_of: row {i} holds {len(places)} tokens, this encoder takes {max_tokens}. Cut it.")
    return start, end

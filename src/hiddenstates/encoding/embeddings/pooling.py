"""From one vector per position to one vector per text.

A new pooling is one function with `@pooling` here; the invariance tests find it in the registry.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.forward.families import StateMap


@dataclass(frozen=True)
class HiddenStates:
    """All the hidden states of a batch.

    values:    layer 0 is the embeddings
    mask:      True where a position holds a token of the text, False where it is padding
    eos:       position of the token that ends each text, -1 where a text has none; None for inputs without text
    state_map: what made each layer
    skipped:   how many tokens of each text stand before the first that the mask shows: those of a prompt
    pooler:    what the model's own class pools one state with, given the mask; None where it has none
    """

    values: Float[Tensor, "layer batch position d_model"]
    mask: Bool[Tensor, "batch position"]
    eos: Int[Tensor, " batch"] | None
    state_map: StateMap
    skipped: int = 0
    pooler: "Pooler | None" = None

    def without_start(self, tokens: int) -> "HiddenStates":
        """The same, of each text the first so many tokens out of sight of every pooling."""
        if not tokens:
            return self
        mask = self.mask & (self.mask.cumsum(-1) > tokens)
        if not mask.any(-1).all():
            raise LabError(f"prompt: its {tokens} tokens leave none of a text. Shorten it, or raise max_tokens.")
        return replace(self, mask=mask, skipped=self.skipped + tokens)


Pooler = Callable[[Tensor, Tensor], Tensor]
"""[batch, position, d_model] and [batch, position] to [batch, d_model]"""

Pooled = Float[Tensor, "layer batch d_model"]
Pooling = Callable[[HiddenStates], Pooled]

POOLINGS: dict[str, Pooling] = {}


def pooling(function: Pooling) -> Pooling:
    """Register a pooling under its function's name."""
    POOLINGS[function.__name__] = function
    return function


def get_pooling(name: str) -> Pooling:
    if name not in POOLINGS:
        raise LabError(f"unknown pooling {name!r}. Choose one of {', '.join(POOLINGS)}.")
    return POOLINGS[name]


@pooling
def first(states: HiddenStates) -> Pooled:
    """The first token: [CLS] in BERT (Devlin et al. 2019)."""
    return _at(states.values, states.mask.int().argmax(-1))


@pooling
def last(states: HiddenStates) -> Pooled:
    """The last token that is not padding."""
    positions = torch.arange(states.mask.shape[1], device=states.mask.device)
    return _at(states.values, (positions * states.mask).argmax(-1))


@pooling
def mean(states: HiddenStates) -> Pooled:
    """The average of all tokens that are not padding (Reimers & Gurevych 2019)."""
    weights = (states.mask / states.mask.sum(-1, keepdim=True)).to(states.values.dtype)
    return (weights[:, None] @ states.values).squeeze(-2)


@pooling
def meansqrtlen(states: HiddenStates) -> Pooled:
    """The sum of all tokens by the square root of their number (Reimers & Gurevych 2019): a longer `mean`."""
    return mean(states) * states.mask.sum(-1, keepdim=True).sqrt().to(states.values.dtype)


@pooling
def weightedmean(states: HiddenStates) -> Pooled:
    """The average of all tokens, each weighing as much as its place, from 1 (Muennighoff 2022).

    In a causal model later tokens have seen more. Tokens of a prompt that are not pooled still count as places.
    """
    places = (states.mask.cumsum(-1) + states.skipped) * states.mask
    weights = (places / places.sum(-1, keepdim=True)).to(states.values.dtype)
    return (weights[:, None] @ states.values).squeeze(-2)


@pooling
def max(states: HiddenStates) -> Pooled:
    """The largest value of each dimension over all tokens that are not padding."""
    if states.mask.all():
        return states.values.amax(-2)
    return states.values.masked_fill(~states.mask[None, :, :, None], -torch.inf).amax(-2)


@pooling
def eos(states: HiddenStates) -> Pooled:
    """The first token that ends the text: [SEP] in BERT, the end of text that CLIP pools (Radford et al. 2021)."""
    if states.eos is None:
        raise LabError("pooling eos: these inputs have no end-of-text token. Choose first, mean or max.")
    if (states.eos < 0).any():
        row = int((states.eos < 0).int().argmax())
        raise LabError(
            f"pooling eos: row {row} of the batch has no end-of-text token, a text cut by hand perhaps. "
            "Let the tokenizer cut it (truncation=True keeps that token), or choose last or mean."
        )
    return _at(states.values, states.eos)


@pooling
def patches(states: HiddenStates) -> Pooled:
    """The average of all positions but the first: of an image its patches, without the class token."""
    rest = states.mask & (states.mask.cumsum(-1) > 1)
    bare = ~rest.any(-1)
    if bare.any():
        raise LabError(
            f"pooling patches: row {int(bare.int().argmax())} of the batch has one position, "
            "so nothing but the first. Choose first or mean."
        )
    return mean(replace(states, mask=rest))


@pooling
@torch.no_grad()
def own(states: HiddenStates) -> Pooled:
    """What the model pools with weights of its own: SigLIP's probe attends to the patches (Zhai et al. 2023)."""
    if states.pooler is None:
        raise LabError("pooling own: this model pools with no weights of its own. Choose first, mean or max.")
    return torch.stack([states.pooler(layer, states.mask) for layer in states.values])


def _at(values: Float[Tensor, "layer batch position d_model"], position: Int[Tensor, " batch"]) -> Pooled:
    return values[:, torch.arange(values.shape[1], device=values.device), position]

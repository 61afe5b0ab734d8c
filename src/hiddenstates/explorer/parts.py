"""What each token adds to a text's embedding: vectors, one per token, whose sum is the embedding.

Everything that a strategy does to pooled states is linear, once the text's own length and spread are taken as they
came out, so what is done to the sum is done to each token's part. Stylianou et al. (2019) split the similarity of two
images over their regions in this way, for the mean and for the maximum. Only the activations of a model's own head are
not linear: there each token gets the share of the output that it has of the input (the Rescale rule of DeepLIFT,
Shrikumar et al. 2017), and the parts add up again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import AnyStrategy, terms
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import NORM_EPSILON
from hiddenstates.encoding.embeddings.pooling import HiddenStates, get_pooling
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.encoding.models.head import ACTIVATIONS, SHORTEST, Head, LayerNorm, Linear, Normalize, Step

Array = np.ndarray
NEAR_NOTHING = 1e-9  # an input of an activation that is smaller is replaced by this, where one divides by it


class Parts(NamedTuple):
    """values: [..., token, width], their sum over the tokens is a vector that was pooled, or what was made of it
    shares: [..., token, width or 1], of each token in what is the same for every text, as a bias; they add up to 1
    """

    values: Array
    shares: Array

    @property
    def total(self) -> Array:
        """[..., 1, width]"""
        return self.values.sum(-2, keepdims=True)

    def affine(self, matrix: Array, minus: Array | float = 0.0, plus: Array | float = 0.0) -> "Parts":
        """Of (x - minus) @ matrix + plus. What is taken away of a dimension is shared as the dimension is."""
        even = self.shares.mean(-1, keepdims=True)
        return Parts((self.values - self.shares * minus) @ matrix.astype(np.float64) + even * plus, even)

    def scaled(self, by: Array | float) -> "Parts":
        return Parts(self.values * by, self.shares)

    def layer_normed(self, epsilon: float) -> "Parts":
        """By the spread of the whole vector."""
        centred = self.values - self.values.mean(-1, keepdims=True)
        spread = np.sqrt(np.square(centred.sum(-2, keepdims=True)).mean(-1, keepdims=True) + epsilon)
        return Parts(centred / spread, self.shares)


def token_parts(
    states: HiddenStates, strategy: AnyStrategy, whitening: Whitenings, head: Head
) -> Float64[np.ndarray, "token width"]:
    """What each position of one text adds to its embedding, as `PooledStates.embed` makes it.

    states:   of this text alone
    strategy: its layers counted from 0

    LabError for a pooling that weighs tokens by a network of its own.
    """
    found = [
        _scaled(_made(states, part, whitening, head), part) * np.sqrt(weight)
        for part, weight in terms(strategy).items()
    ]
    return np.hstack(found)


def how(strategy: AnyStrategy, head: Head) -> list[str]:
    """In what sense the parts are a token's: a sentence each."""
    parts = list(terms(strategy))
    return list(dict.fromkeys(said for part in parts for said in _how(part, head)))


def _how(part: Strategy, head: Head) -> Iterator[str]:
    for pool in part.pools:
        if pool == "max":
            yield "max: what a dimension adds belongs to the token whose value is the largest, exactly."
        elif pool in ("first", "last", "eos"):
            yield f"{pool}: one token's state is the embedding, so all belongs to it."
    if part.layer_norm:
        yield "+ln: each token's part is divided by the spread of the whole vector."
    steps = head.steps if part.head else ()
    bent = [step.activation for step in steps if isinstance(step, Linear) and step.activation != "Identity"]
    if bent:
        yield f"Approximate: {', '.join(bent)} in +head is shared by the Rescale rule (Shrikumar et al. 2017)."
    if part.whitened:
        yield "The mean that whitening takes away is shared among the tokens as they were pooled."


def _scaled(parts: Parts, strategy: Strategy) -> Array:
    length = np.linalg.norm(parts.total) if strategy.normalize else 1.0
    return parts.values / length


def _made(states: HiddenStates, strategy: Strategy, whitening: Whitenings, head: Head) -> Parts:
    """As `hiddenstates.encoding.embeddings.pooled` combines pooled states, step by step."""
    layers = _pooled(states, strategy)
    if strategy.layer_norm:
        layers = layers.layer_normed(float(NORM_EPSILON))
    if strategy.each is not None:
        each = [
            Parts(values, shares).affine(fitted.matrix, fitted.mean)
            for values, shares, fitted in zip(*layers, map(whitening.of, strategy.states()), strict=True)
        ]
        layers = Parts(*map(np.stack, zip(*each, strict=True)))
    if strategy.weights:
        layers = layers.scaled(np.array(strategy.weights)[:, None, None])
    made = _combined(layers, strategy.combine)
    if strategy.head:
        for step in head.steps:
            made = _stepped(made, step)
    if strategy.whiten is not None:
        fitted = whitening.of(strategy.full)
        made = made.affine(fitted.matrix, fitted.mean)
    if strategy.reduced and strategy.reduced.fitted:
        fitted = whitening.of(strategy.scaled)
        return made.affine(fitted.matrix, fitted.mean)
    if strategy.reduced:
        return Parts(*(array[:, : strategy.reduced.dimensions] for array in made))
    return made


def _pooled(states: HiddenStates, strategy: Strategy) -> Parts:
    """Of each layer: value times slope. A pooling is of first degree, so these add up to what it pools (Euler)."""
    values = states.values[list(strategy.layers)].detach().clone().requires_grad_()
    eos = None if states.eos is None else states.eos.clone()
    given = replace(states, values=values, mask=states.mask.clone(), eos=eos)
    slopes = [_slope(pool, given, values) for pool in strategy.pools]
    known = values.detach()[:, 0].double().numpy()  # [layer, token, d_model]
    shares = [slope / slope.sum(1, keepdims=True) for slope in slopes]
    return Parts(np.concatenate([known * slope for slope in slopes], -1), np.concatenate(shares, -1))


def _slope(pool: str, given: HiddenStates, values: Tensor) -> Array:
    """[layer, token, d_model]: how much of a token's value is pooled; of a maximum, 1 where it is and 0 elsewhere."""
    pooled = get_pooling(pool)(given)
    if not pooled.requires_grad:
        raise LabError(f"pooling {pool} weighs what it pools by a network of its own, which no sum over tokens says.")
    (slope,) = torch.autograd.grad(pooled.sum(), values)
    array: Array = slope[:, 0].double().numpy()
    return array


def _combined(layers: Parts, combine: str) -> Parts:
    if combine == "concat":
        shares = np.broadcast_to(layers.shares, layers.values.shape)
        return Parts(np.concatenate(list(layers.values), -1), np.concatenate(list(shares), -1))
    values = layers.values.mean(0) if combine == "mean" else layers.values.sum(0)
    return Parts(values, layers.shares.mean(0))


def _stepped(parts: Parts, step: Step) -> Parts:
    """One module of a head."""
    if isinstance(step, Normalize):
        return parts.scaled(1 / max(float(np.linalg.norm(parts.total)), SHORTEST))
    if isinstance(step, LayerNorm):
        normed = parts.layer_normed(step.epsilon)
        return normed.affine(np.diag(step.weight), plus=step.bias)
    if isinstance(step, Linear):
        return _linear(parts, step)
    raise LabError(f"head: {step.settings()['kind']} cannot be shared among tokens yet. Leave +head out.")


def _linear(parts: Parts, step: Linear) -> Parts:
    inner = parts.affine(step.weight.T, plus=0.0 if step.bias is None else step.bias)
    activation = ACTIVATIONS[step.activation]
    total = np.where(np.abs(inner.total) < NEAR_NOTHING, NEAR_NOTHING, inner.total)
    rest = activation(np.zeros(1))
    bent = inner.scaled((activation(total) - rest) / total)
    values = bent.values + inner.shares * rest
    if step.residual is not None:
        values = values + parts.values @ step.residual.T.astype(np.float64)
    return Parts(values, inner.shares)

"""Weights of the layers learned on dev: a scalar mix (Peters et al. 2018), one for each pooling."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn.functional import cross_entropy

from hiddenstates.core.data import Task
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates, layer_normed
from hiddenstates.encoding.embeddings.states import TaskStates

STEPS, RATE = 100, 0.1  # of Adam
TEMPERATURE = 0.05  # of the softmax over cosines, as sentence encoders are trained with (Reimers & Gurevych 2019)
QUERIES, PASSAGES = 200, 512  # that the weights are learned from: so few numbers need no more
DIGITS = 4  # of a weight in the strategy's string, which is thereby exact

Queries = Float32[Tensor, "layer query d_model"]
Passages = Float32[Tensor, "layer passage d_model"]
Weights = Float32[Tensor, " layer"]
Judged = Float32[Tensor, "query passage"]


def learn_weights(
    states: TaskStates,
    dev: Task,
    pool: str,
    layer_norm: bool,
    seed: int,
    sets: Sequence[str] | None = None,
    highest: int | None = None,
) -> Strategy:
    """The sum of all layers under the weights, positive and of sum 1, that fit the dev queries best.

    Retrieval: the cross-entropy of a softmax over passages, the relevant ones of a query sharing its target equally.
    Similarity: Pearson's correlation of cosine and score.

    sets:    the query sets to learn from, each weighing the same; None: all
    highest: the last of the layers that is taken; None: all are
    """
    random = np.random.default_rng(seed)
    asked = _queries(dev, sets or dev.sets, random)
    offered = _passages(dev, list(asked), random)
    grades = torch.tensor([[dev.qrels[q].get(p, torch.nan) for p in offered] for q in asked])
    importance = torch.tensor(list(asked.values()))
    cosines = _cosines(
        _tensor(states.queries.select(asked), pool, layer_norm, highest),
        _tensor(states.passages.select(offered), pool, layer_norm, highest),
    )
    loss = _uncorrelated if dev.measure == "similarity" else _surprise
    n_states = len(states.queries.state_map)
    scores = torch.zeros(n_states if highest is None else min(highest + 1, n_states), requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.autograd.backward(loss(cosines(scores.softmax(0)), grades, importance))
        optimizer.step()
    return _strategy(scores.detach().softmax(0), pool, layer_norm)


def _queries(dev: Task, sets: Sequence[str], random: np.random.Generator) -> dict[str, float]:
    """Some queries of each set that have something to find, and how much each one weighs."""
    weights: dict[str, float] = {}
    for name in sets:
        rows = dev.select(set=name).qrels.rows
        useful = [q for q, row in rows.items() if dev.measure == "similarity" or any(g > 0 for g in row.values())]
        drawn = random.permutation(useful)[: QUERIES // len(sets)].tolist()
        weights |= dict.fromkeys(drawn, 1 / len(sets) / max(len(drawn), 1))
    return weights


def _passages(dev: Task, asked: Sequence[str], random: np.random.Generator) -> list[str]:
    """All that is judged for these queries, filled up with others; none that is a query itself."""
    judged = dict.fromkeys(p for q in asked for p in dev.qrels[q])
    hidden = {*judged, *asked} if dev.ignore_identical_ids else judged
    others = [p for p in random.permutation(dev.kb.ids).tolist() if p not in hidden]
    return [*judged, *others[: max(PASSAGES - len(judged), 0)]]


def _tensor(
    states: PooledStates, pool: str, layer_norm: bool, highest: int | None
) -> Float32[Tensor, "layer item d_model"]:
    values = states.values[pool][: None if highest is None else highest + 1]
    return torch.from_numpy(layer_normed(values) if layer_norm else values)


def _cosines(queries: Queries, passages: Passages) -> Callable[[Weights], Judged]:
    """The cosines under any weights, from the inner products of every two layers."""
    products = torch.einsum("iqd,jpd->qpij", queries, passages).flatten(2)
    squares = [torch.einsum("ind,jnd->nij", states, states).flatten(1) for states in (queries, passages)]

    def weighted(weights: Weights) -> Judged:
        pairs = torch.outer(weights, weights).flatten()
        first, second = (torch.sqrt(square @ pairs) for square in squares)
        return products @ pairs / torch.outer(first, second)

    return weighted


def _surprise(cosines: Judged, grades: Judged, importance: Float32[Tensor, " query"]) -> Tensor:
    relevant = (grades > 0).float()  # not where it is nan, for not judged
    target = relevant / relevant.sum(1, keepdim=True)
    return cross_entropy(cosines / TEMPERATURE, target, reduction="none") @ importance


def _uncorrelated(cosines: Judged, grades: Judged, importance: Float32[Tensor, " query"]) -> Tensor:
    judged = ~grades.isnan()
    return -torch.corrcoef(torch.stack([cosines[judged], grades[judged]]))[0, 1]


def _strategy(weights: Weights, pool: str, layer_norm: bool) -> Strategy:
    """Layers without weight are left out; one that has it all is a strategy of that layer alone."""
    rounded = {layer: round(weight, DIGITS) for layer, weight in enumerate(weights.tolist())}
    held = {layer: weight for layer, weight in rounded.items() if weight > 0}
    if len(held) == 1:
        return Strategy(tuple(held), "single", pool, layer_norm=layer_norm)
    return Strategy(tuple(held), "sum", pool, layer_norm=layer_norm, weights=tuple(held.values()))

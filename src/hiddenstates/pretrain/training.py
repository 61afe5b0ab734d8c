"""The one training loop: AdamW, a rate that rises and falls, an epoch at a time, and on from where a run was killed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from hiddenstates.core import draws
from hiddenstates.core.bars import bar
from hiddenstates.pretrain.progress import Progress

ATTENTION = "eager"  # of few positions and narrow heads: a step takes three quarters of the time that sdpa's takes
WARMUP = 0.05  # of all steps
WEIGHT_DECAY = 0.1
LONGEST_GRADIENT = 1.0

Model = TypeVar("Model", bound=nn.Module)
Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Course(Generic[Model, Batch]):
    """What is trained on and how.

    name:    of the run, in progress bars and files; its draws depend on it
    epoch:   the batches of one epoch, from its own source of random numbers; always as many
    loss:    of one batch
    """

    name: str
    epochs: int
    rate: float
    seed: int
    epoch: Callable[[np.random.Generator], Sequence[Batch]]
    loss: Callable[[Model, Batch], Tensor]


def train(model: Model, course: Course[Model, Batch], progress: Progress) -> list[float]:
    """Train in place and return the mean loss of each epoch.

    An epoch's draws, dropout included, depend on seed, name and number of the epoch alone, so a run that goes on from
    `progress` ends with the bytes of one that was never killed.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=course.rate, weight_decay=WEIGHT_DECAY, fused=True)
    losses = progress.load(course.name, model, optimizer)
    rest = range(len(losses), course.epochs)
    model.train()
    for number in bar(rest, course.name, course.epochs, initial=len(losses), unit="epochs"):
        key = (course.seed, course.name, "epoch", number)
        with torch.random.fork_rng():
            torch.manual_seed(draws.number(*key) >> 1)
            losses.append(_epoch(model, course, optimizer, course.epoch(draws.generator(*key)), number))
        progress.save(course.name, model, optimizer, losses)
    model.eval()
    return losses


def _epoch(
    model: Model,
    course: Course[Model, Batch],
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    number: int,
) -> float:
    total = 0.0
    for i, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = course.rate * rate_factor((number + (i + 1) / len(batches)) / course.epochs)
        optimizer.zero_grad()
        loss = course.loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), LONGEST_GRADIENT)
        optimizer.step()
        total += loss.item()
    return total / len(batches)


def rate_factor(done: float) -> float:
    """The share of the highest rate at this share of all steps: a straight rise, then half a cosine down to 0."""
    if done < WARMUP:
        return done / WARMUP
    return float(0.5 * (1 + np.cos(np.pi * (done - WARMUP) / (1 - WARMUP))))

"""Early exit: some hidden states of a forward pass, which ends as soon as the highest of them is there."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hiddenstates.encoding.forward.families import StateMap
from hiddenstates.encoding.forward.tracing import tensors


@dataclass(frozen=True)
class Exit:
    """Where a hidden state leaves the model.

    module: path, from the part that runs, of the module that puts it out
    call:   in which of its calls, from 0: layers that share their weights are one module
    """

    module: str
    call: int


Exits = Sequence[Exit | None]
"""By hidden state; None where the whole model must run to see it."""


class _Reached(Exception):  # noqa: N818 (no error)
    """All that was wanted is there."""


@contextmanager
def stopped_at(module: nn.Module, before: bool = False) -> Iterator[None]:
    """What runs inside ends, quietly, as soon as the module has put something out; or is about to run."""

    def stop(*_: Any) -> None:
        raise _Reached

    handle = module.register_forward_pre_hook(stop) if before else module.register_forward_hook(stop)
    try:
        with suppress(_Reached):
            yield
    finally:
        handle.remove()


def find_exits(model: nn.Module, path: str, state_map: StateMap, states: Tensor, run: Callable[[], object]) -> Exits:
    """The exit of each hidden state, if what leaves there is that state to the last bit.

    path:   of the model, from the whole that the state map counts from
    states: all states of the batch that `run` runs, [layer, batch, position, d_model]
    """
    calls = Counter[str]()
    exits: list[Exit] = []
    for state in state_map:
        below = state.module.removeprefix(f"{path}." if path else "")
        exits.append(Exit(below, calls[below]))
        calls[below] += 1
    modules = dict(model.named_modules())
    found = _caught(model, [exit for exit in exits if exit.module in modules], run)
    return [
        exit if exit in found and torch.equal(found[exit], state) else None
        for exit, state in zip(exits, states, strict=True)
    ]


def states_at(model: nn.Module, exits: Sequence[Exit], run: Callable[[], object]) -> tuple[Tensor, ...]:
    """What leaves at these exits, each [batch, position, d_model]; no module that comes after the last of them runs."""
    found = _caught(model, exits, run)
    return tuple(found[exit] for exit in exits)


def _caught(model: nn.Module, exits: Sequence[Exit], run: Callable[[], object]) -> dict[Exit, Tensor]:
    missing, found, calls = set(exits), dict[Exit, Tensor](), Counter[str]()

    def keep(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: Any, out: Any) -> None:
            exit = Exit(path, calls[path])
            calls[path] += 1
            state = next(tensors(out), None)
            if exit in missing and state is not None:
                found[exit] = state
                missing.remove(exit)
            if not missing:
                raise _Reached

        return hook

    watched = {path: model.get_submodule(path) for path in {exit.module for exit in exits}}
    handles = [module.register_forward_hook(keep(path)) for path, module in watched.items()]
    try:
        with suppress(_Reached):
            run()
    finally:
        for handle in handles:
            handle.remove()
    return found

"""Which module made which hidden state: forward hooks watch one batch and compare, to the last bit."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hiddenstates.encoding.forward.families import State, StateMap

Run = Callable[[], Float[Tensor, "layer batch position d_model"]]
NDIM = 3  # [batch, position, d_model]
NOT_NORMS = ("NoNorm",)  # MobileBERT's: a gain and a bias, nothing is normed


def trace(model: nn.Module, path: str, run: Run) -> tuple[StateMap, Tensor]:
    """What made each hidden state that a run returns, and the states.

    model: what runs, every module of which is watched; it is left as it was
    path:  its own, from the whole model
    run:   one forward pass over one batch, which returns all states; it runs once, twice where no module puts one out
    """
    with _watched(model) as made:
        values = run()
    marks = [_mark(state) for state in values]
    first = {mark: made[mark][0] for mark in marks if mark in made}
    states = {mark: _state(model, made[mark], set(first.values())) for mark in first}
    if len(first) < len(set(marks)):
        states |= _adders(model, path, run, set(marks) - first.keys())
    return tuple(_at(path, states[mark]) for mark in marks), values


def overview(state_map: StateMap) -> list[dict[str, Any]]:
    """One row per hidden state: the entry of the map, in words for a table."""
    return [
        {"made by": state.module, "norm": state.norm or "none"} | ({"innermost": state.inner} if state.inner else {})
        for state in state_map
    ]


def listed(state_map: StateMap) -> list[dict[str, Any]]:
    """One dictionary per hidden state: its index, and the entry of the map."""
    return [{"index": i} | asdict(state) for i, state in enumerate(state_map)]


def _state(model: nn.Module, matches: Sequence[str], makers: set[str]) -> State:
    """matches: the modules that put the state out, the first in time first; makers: those of all states."""
    inner = matches[0]
    around = [path for path in matches if inner.startswith(f"{path}.")]
    alone = [path for path in around if not any(m.startswith(f"{path}.") for m in makers - {inner})]
    norm = next((path for path in matches if _is_norm(model.get_submodule(path))), "")
    return State(min(alone, key=len, default=inner), norm, inner)


def _is_norm(module: nn.Module) -> bool:
    name = type(module).__name__
    return "norm" in name.lower() and name not in NOT_NORMS and not any(module.children())


def _adders(model: nn.Module, path: str, run: Run, missing: set[bytes]) -> dict[bytes, State]:
    """Of states that no module puts out, the module in whose forward they are made: who hands them on first."""
    found = dict.fromkeys(missing, "")
    with _watched_inputs(model, found):
        run()
    paths = {mark: _joined(path, caller) or type(model).__name__ for mark, caller in found.items()}
    return {mark: State(f"made in {adder}.forward") for mark, adder in paths.items()}


@contextmanager
def _watched(model: nn.Module) -> Iterator[Mapping[bytes, list[str]]]:
    """Meanwhile, by what is put out: the paths of the modules that put it out, in time's order."""
    made: dict[bytes, list[str]] = {}

    def keep(path: str) -> Any:
        def hook(module: nn.Module, arguments: Any, out: Any) -> None:
            for tensor in tensors(out):
                made.setdefault(_mark(tensor), []).append(path)

        return hook

    handles = [module.register_forward_hook(keep(path)) for path, module in model.named_modules() if path]
    try:
        yield made
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _watched_inputs(model: nn.Module, found: dict[bytes, str]) -> Iterator[None]:
    """Meanwhile, the path of who first hands each of the wanted tensors to a module."""
    callers, seen = [""], set[bytes]()

    def enter(path: str) -> Any:
        def hook(module: nn.Module, arguments: Any, named: Mapping[str, Any]) -> None:
            for mark in map(_mark, tensors([*arguments, *named.values()])):
                if mark in found and mark not in seen:
                    found[mark] = callers[-1]
                    seen.add(mark)
            callers.append(path)

        return hook

    handles = []
    for path, module in model.named_modules():
        if path:
            handles.append(module.register_forward_pre_hook(enter(path), with_kwargs=True))
            handles.append(module.register_forward_hook(lambda *_: callers.pop() and None))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def tensors(out: Any) -> Iterator[Tensor]:
    """What of a module's inputs or outputs may be a state. What gathers the states of others has made none of them."""
    values = out if isinstance(out, list | tuple) else [out]
    yield from (v for v in values if isinstance(v, Tensor) and v.ndim == NDIM and v.is_floating_point())


def _mark(tensor: Tensor) -> bytes:
    """Equal for tensors that are equal to the last bit, and of one shape."""
    values = tensor.detach().cpu().contiguous()
    digest = hashlib.blake2b(f"{tuple(values.shape)} {values.dtype}".encode(), digest_size=16)
    digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.digest()


def _at(path: str, state: State) -> State:
    """The same, with paths that count from the whole model."""
    if not state.traced:
        return state
    return State(*(_joined(path, part) if part else "" for part in (state.module, state.norm, state.inner)))


def _joined(path: str, below: str) -> str:
    return ".".join(part for part in (path, below) if part)

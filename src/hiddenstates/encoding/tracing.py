"""Is the state map true of this very model? Watch the modules at work and compare, to the last bit."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.readers import Input


def traced(encoder: Encoder, inputs: Sequence[Input]) -> list[dict[str, Any]]:
    """One row a hidden state: its entry in the state map, and whether it is what that module and that norm put out.

    module, norm: paths from the whole model
    by module:    whether the state equals the module's output in one run over these inputs
    by norm:      the same of the norm's output; None where the entry names none
    """
    states = encoder.family.states(len(encoder.state_map) - 1)  # paths from the part that runs
    paths = {path for state in states for entry in (state.module, state.norm) for path in _split(entry)}
    with _watched(encoder.model, paths) as outputs:
        values = encoder.states(inputs).values
    return [
        asdict(named) | {"by module": _is(value, state.module, outputs), "by norm": _is(value, state.norm, outputs)}
        for named, state, value in zip(encoder.state_map, states, values, strict=True)
    ]


@contextmanager
def _watched(model: nn.Module, paths: set[str]) -> Iterator[dict[str, Tensor]]:
    """What the modules at these paths put out meanwhile, the last time that they were called."""
    outputs: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        return lambda module, args, out: outputs.update({path: (out[0] if isinstance(out, tuple) else out).cpu()})

    handles = [model.get_submodule(path).register_forward_hook(keep(path)) for path in paths]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _is(value: Tensor, entry: str, outputs: Mapping[str, Tensor]) -> bool | None:
    """Whether the state is the output of the module, or of two side by side; without boxes one of them has none."""
    parts = [outputs[path] for path in _split(entry) if path in outputs]
    return torch.equal(value, torch.cat(parts, 1)) if parts else None


def _split(entry: str) -> list[str]:
    return entry.split(", ") if entry else []

"""A model's forward pass: only the arguments that it knows, and its hidden states as they should be, or an error."""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from hiddenstates.core.errors import LabError


def accepted(model: Any) -> frozenset[str]:
    """Names of the arguments that the model's forward has."""
    kind: Any = type(model)
    return _accepted(kind)


def hidden_states(model: Any, arguments: Mapping[str, Any], output: str) -> tuple[Tensor, ...]:
    """All hidden states of a batch, each [batch, position, d_model].

    arguments: those that the model does not know are left away
    output:    the field that holds the hidden states
    """
    found = run(model, arguments, output_hidden_states=True).get(output)
    if not found:
        raise LabError(f"{type(model).__name__} puts out no hidden states. Choose another model or part.")
    return tuple(found)


def run(model: Any, arguments: Mapping[str, Any], **options: bool) -> Any:
    """What the model puts out for a batch. Arguments that it does not know are left away."""
    names = accepted(model)
    known = {name: value for name, value in arguments.items() if name in names or "kwargs" in names}
    if "use_cache" in names:
        known["use_cache"] = False  # memory for generation
    return model(**known, **options)


def stacked(states: tuple[Tensor, ...]) -> Tensor:
    """The states as one tensor [layer, batch, position, d_model]. LabError where their shapes differ."""
    shapes = list(dict.fromkeys(tuple(getattr(state, "shape", ())) for state in states))
    if len(shapes) > 1 or len(shapes[0]) != 3:
        listed = ", ".join("×".join(map(str, shape)) for shape in shapes[:3])
        raise LabError(
            f"its hidden states are of the shapes {listed}, where each should be batch × position × d_model. "
            "Choose another model or part: states that differ in shape cannot be combined."
        )
    return torch.stack(states)


@cache
def _accepted(kind: Any) -> frozenset[str]:
    parameters = inspect.signature(kind.forward).parameters.values()
    free = {"kwargs"} if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters) else set()
    return frozenset({p.name for p in parameters} - {"self", "kwargs"} | free)

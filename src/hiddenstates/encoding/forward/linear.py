"""Linear layers in a dtype of their own: on a CPU oneDNN's, their weights laid out for it once, not in every call."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hiddenstates.core.errors import LabError

ROWS = 2048  # oneDNN chooses the layout for about so many tokens; any number computes the same

# oneDNN keeps what it prepares for each shape of a batch, in each cache of 1,024 shapes by default: memory that grows
# with the corpus. A forward pass needs a handful at a time. Both are read when oneDNN first computes something.
CACHES = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
for cache in CACHES:
    os.environ.setdefault(cache, "16")


class CastLinear(nn.Module):
    """`nn.Linear` for inference. It computes in `dtype` and answers in the dtype of its input."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.weight = linear.weight.detach().to(dtype)
        self.bias = None if linear.bias is None else linear.bias.detach().to(dtype)

    def forward(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_out"]:
        return self._multiply(x.to(self.dtype)).to(x.dtype)

    def _multiply(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_out"]:
        return nn.functional.linear(x, self.weight, self.bias)


class PackedLinear(CastLinear):
    """The same by oneDNN, on a CPU."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__(linear, dtype)
        self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, ROWS)

    def _multiply(self, x: Float[Tensor, "... d_in"]) -> Float[Tensor, "... d_out"]:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return out


def pack(model: nn.Module, dtype: torch.dtype, runs: Callable[[], object] | None = None) -> Any:
    """The model itself, each `nn.Linear` in it replaced; in float32 on a GPU, or without oneDNN, it stays as it is.

    runs: tries the model. A model may read the weight of a layer that it never calls, as Mamba does, which then must
          stay as it is: those that `runs` does not call are put back where the model fails without them

    In bfloat16 all else (attention, residual sums, layer norms, hidden states) stays float32.
    Raises LabError for bfloat16 on a CPU that has no instructions for it.
    """
    kind = _kind(next(model.parameters()).device, dtype)
    if kind is None:
        return model
    layers = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
    uncalled = _uncalled(layers, runs) if runs else {}
    for name in list(layers):
        model.set_submodule(name, kind(layers.pop(name), dtype))
    if uncalled:
        _put_back(model, uncalled, runs)
    return model


def _uncalled(layers: Mapping[str, nn.Linear], runs: Callable[[], object]) -> dict[str, nn.Linear]:
    """The layers that a run does not call."""
    called = set[str]()
    handles = [layer.register_forward_hook(lambda *_, name=name: called.add(name)) for name, layer in layers.items()]
    try:
        runs()
    finally:
        for handle in handles:
            handle.remove()
    return {name: layer for name, layer in layers.items() if name not in called}


def _put_back(model: nn.Module, uncalled: Mapping[str, nn.Linear], runs: Callable[[], object] | None) -> None:
    """These layers as they were, if the model does not run without them."""
    try:
        if runs:
            runs()
    except Exception:  # whatever an opaque weight trips over
        for name, layer in uncalled.items():
            model.set_submodule(name, layer)


def _kind(device: torch.device, dtype: torch.dtype) -> type[CastLinear] | None:
    if device.type != "cpu":
        return CastLinear if dtype == torch.bfloat16 else None
    available = torch._C._has_mkldnn
    if dtype == torch.bfloat16 and not (available and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        raise LabError("states.dtype is bfloat16, and this CPU or torch has no fast bfloat16. Choose float32.")
    return PackedLinear if available else None

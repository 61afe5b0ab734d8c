import os
import subprocess
import sys

import pytest
import torch
from numpy.testing import assert_allclose
from tiny import tiny_model
from torch import nn

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.forward import linear as module
from hiddenstates.encoding.forward.linear import CACHES, CastLinear, PackedLinear, pack

bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this CPU has no bfloat16 instructions"
)


@pytest.mark.parametrize("tokens", [1, 7, 3000])
def test_packed_computes_the_same_for_any_number_of_tokens(tokens: int) -> None:
    linear, x = nn.Linear(48, 20), torch.randn(2, tokens, 48)
    with torch.inference_mode():
        assert_allclose(PackedLinear(linear, torch.float32)(x), linear(x), rtol=1e-5, atol=1e-6)


def test_without_a_bias() -> None:
    linear = nn.Linear(2, 1, bias=False)
    nn.init.constant_(linear.weight, 3)
    assert PackedLinear(linear, torch.float32)(torch.tensor([[1.0, 2.0]])).tolist() == [[9.0]]


@bfloat16
def test_bfloat16_rounds_and_answers_in_the_dtype_of_its_input() -> None:
    linear = nn.Linear(1, 1, bias=False)
    nn.init.constant_(linear.weight, 1 + 2**-9)  # bfloat16 keeps 8 bits: rounds to 1
    out = PackedLinear(linear, torch.bfloat16)(torch.tensor([[4.0]]))
    assert out.dtype == torch.float32
    assert out.item() == 4


def test_every_linear_layer_is_packed_and_no_other() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ModuleDict({"inner": nn.Linear(4, 4)}), nn.LayerNorm(4))
    kinds = [type(m) for m in pack(model, torch.float32).modules()]
    assert kinds == [nn.Sequential, PackedLinear, nn.ModuleDict, PackedLinear, nn.LayerNorm]


@bfloat16
@pytest.mark.parametrize("kind", ["bert", "roberta", "mpnet", "distilbert"])
def test_hidden_states_stay_float32_and_near(kind: str) -> None:
    model, ids = tiny_model(kind).eval(), torch.tensor([[2, 5, 6, 7, 3]])
    with torch.inference_mode():
        exact = model(ids, output_hidden_states=True).hidden_states
        low = pack(model, torch.bfloat16)(ids, output_hidden_states=True).hidden_states
    assert {state.dtype for state in low} == {torch.float32}
    assert torch.equal(low[0], exact[0])  # no linear layer yet
    assert not torch.equal(low[-1], exact[-1])
    assert torch.cosine_similarity(low[-1], exact[-1], dim=-1).min() > 0.999


def test_bfloat16_is_refused_where_it_would_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.torch._C, "_has_mkldnn", False)
    with pytest.raises(LabError, match="is bfloat16, and this CPU or torch has no fast bfloat16"):
        pack(nn.Linear(1, 1), torch.bfloat16)


def test_without_onednn_the_model_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.torch._C, "_has_mkldnn", False)
    model = nn.Sequential(nn.Linear(1, 1))
    assert type(pack(model, torch.float32)[0]) is nn.Linear


def test_a_gpu_s_linear_layers_are_cast_for_bfloat16_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 4, device="meta"))  # as little a CPU as a GPU is
    assert type(pack(model, torch.float32)[0]) is nn.Linear
    assert type(pack(model, torch.bfloat16)[0]) is CastLinear


@bfloat16
def test_cast_and_packed_agree() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(64, 32), torch.randn(8, 64)
    cast, packed = (kind(linear, torch.bfloat16)(x) for kind in (CastLinear, PackedLinear))
    assert cast.dtype == packed.dtype == torch.float32
    torch.testing.assert_close(cast, packed, rtol=2**-7, atol=2**-7)  # bfloat16 keeps 8 bits


GROWTH = """
import psutil, torch
from hiddenstates.encoding.forward.linear import PackedLinear

layer, held = PackedLinear(torch.nn.Linear(384, 384), torch.float32), []
with torch.inference_mode():
    for rows in range(1, 301):
        layer(torch.ones(rows, 384))
        held.append(psutil.Process().memory_info().rss)
print((held[-1] - held[99]) / 1e6)
"""


def megabytes_of_growth(shapes_kept: dict[str, str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name not in CACHES} | shapes_kept
    done = subprocess.run([sys.executable, "-c", GROWTH], env=environment, capture_output=True, check=True)
    return float(done.stdout)


def test_memory_does_not_grow_with_the_shapes_of_batches() -> None:
    assert megabytes_of_growth({}) < 50 < megabytes_of_growth(dict.fromkeys(CACHES, "1024"))


class ReadsDirectly(nn.Module):
    """A model that calls one layer, and only reads the weight of another, as Mamba does."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.read = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        called: torch.Tensor = self.called(x)
        return called @ self.read.weight.reshape(4, 4)


def test_a_layer_whose_weight_is_read_directly_stays_as_it_is() -> None:
    model, x = ReadsDirectly(), torch.randn(3, 4)
    with torch.inference_mode():
        expected = model(x)
        packed = pack(model, torch.float32, lambda: model(x))
        assert type(packed.called) is PackedLinear
        assert type(packed.read) is nn.Linear
        assert_allclose(packed(x), expected, rtol=1e-5, atol=1e-6)


def test_a_layer_that_a_small_batch_does_not_call_is_packed_all_the_same() -> None:
    model, x = nn.ModuleDict({"one": nn.Linear(4, 4), "other": nn.Linear(4, 4)}), torch.randn(3, 4)
    packed = pack(model, torch.float32, lambda: model["one"](x))
    assert type(packed["other"]) is PackedLinear

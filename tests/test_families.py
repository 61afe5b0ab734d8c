from typing import Any

import pytest
import torch
from tiny import tiny_model
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.families import FAMILIES, Family, family_of

MEMBERS = [pytest.param(family, kind, id=kind) for family in FAMILIES.values() for kind in family.model_types]
IDS = torch.tensor([[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]])


def seen(model: Any, paths: set[str]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """The hidden states that the model reports, and what each module at these paths put out meanwhile."""
    outputs: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        return lambda module, args, out: outputs.update({path: out[0] if isinstance(out, tuple) else out})

    for path in paths:
        model.get_submodule(path).register_forward_hook(keep(path))
    with torch.inference_mode():
        return model(input_ids=IDS, output_hidden_states=True).hidden_states, outputs


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_each_state_is_what_its_module_put_out(family: Family, kind: str) -> None:
    model = tiny_model(kind)
    states = family.state_map(3)
    hidden, outputs = seen(model, {state.module for state in states})
    assert len(hidden) == len(states) == 4
    for state, value in zip(states, hidden, strict=True):
        assert torch.equal(value, outputs[state.module]), state.module


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_each_norm_is_the_last_thing_that_a_state_went_through(family: Family, kind: str) -> None:
    model = tiny_model(kind)
    normed = [(i, state.norm) for i, state in enumerate(family.state_map(3)) if state.norm]
    hidden, outputs = seen(model, {norm for _, norm in normed})
    for i, norm in normed:
        assert isinstance(model.get_submodule(norm), torch.nn.LayerNorm)
        assert torch.equal(hidden[i], outputs[norm]), norm


def test_a_model_type_is_in_one_family_only() -> None:
    kinds = [kind for family in FAMILIES.values() for kind in family.model_types]
    assert len(set(kinds)) == len(kinds)
    assert family_of("distilbert") is FAMILIES["distilbert"]


def test_an_unknown_model_type_is_refused() -> None:
    with pytest.raises(LabError, match=r"model type 'gpt2' is in no family\. Known: bert, roberta, .*families\.py"):
        family_of("gpt2")

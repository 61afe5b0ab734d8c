from typing import Any

import pytest
import torch
from tiny import tiny_model
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.families import FAMILIES, Family, State, family_of, overview

MEMBERS = [
    pytest.param(family, kind, id=f"{kind} {family.part}".strip())
    for family in FAMILIES.values()
    for kind in family.members
]
IDS = torch.tensor([[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]])
INPUTS = {
    "text": {"input_ids": IDS},
    "text, shifted": {"input_ids": IDS, "decoder_input_ids": IDS},
    "image": {"pixel_values": torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))},
}
BOXES = {"vis_feats": torch.randn(2, 3, 32), "vis_pos": torch.rand(2, 3, 4)}
INPUTS["text and boxes"] = {"input_ids": IDS, **BOXES}


def seen(family: Family, kind: str) -> tuple[list[tuple[State, Tensor]], dict[str, Tensor], set[str]]:
    """Each hidden state that the model reports with its entry, what every module put out, and which are norms."""
    whole = tiny_model(kind)
    outputs: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        return lambda module, args, out: outputs.update({path: out[0] if isinstance(out, tuple) else out})

    for path, module in whole.named_modules():
        module.register_forward_hook(keep(path))
    model = whole.get_submodule(family.members[kind])
    states = family.states(len(model.get_submodule(family.layers)), family.members[kind])
    with torch.inference_mode():
        hidden = model(**INPUTS[family.reads], output_hidden_states=True)[family.output]
    norms = {path for path, module in whole.named_modules() if type(module).__name__.endswith("LayerNorm")}
    return list(zip(states, hidden, strict=True)), outputs, norms & outputs.keys()


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_each_state_is_what_its_module_put_out(family: Family, kind: str) -> None:
    states, outputs, _ = seen(family, kind)
    assert len(states) == 4
    for state, value in states:
        made = [outputs[path] for path in state.module.split(", ")]
        assert torch.equal(value, torch.cat(made, 1)), state.module


def part(path: str, state: Tensor) -> slice:
    """The positions of a state that this norm may have made: the embeddings of text and of boxes have one each."""
    n_text = IDS.shape[1]
    if "visual_embedding" in path:
        return slice(n_text, None)
    return slice(n_text) if "layernorm_embedding" in path else slice(None)


@pytest.mark.parametrize(("family", "kind"), MEMBERS)
def test_a_state_is_the_output_of_the_norm_that_its_entry_names_or_of_none(family: Family, kind: str) -> None:
    states, outputs, norms = seen(family, kind)
    assert len(norms) >= 6
    for state, value in states:
        paths = [path for path in norms if torch.equal(outputs[path], value[:, part(path, value)])]
        assert set(paths) == set(state.norm.split(", ")) - {""}


@pytest.mark.parametrize(
    ("kind", "part", "paths"),
    [
        ("bert", "", ["embeddings", "encoder.layer.0", "encoder.layer.1"]),
        ("t5", "encoder", ["encoder.embed_tokens", "encoder.block.0", "encoder.final_layer_norm"]),
        ("clip", "text", ["text_model.embeddings", "text_model.encoder.layers.0", "text_model.encoder.layers.1"]),
        ("clip_text_model", "text", ["embeddings", "encoder.layers.0", "encoder.layers.1"]),
    ],
)
def test_paths_count_from_the_whole_model(kind: str, part: str, paths: list[str]) -> None:
    family = family_of(kind, part)
    assert [state.module for state in family.states(2, family.members[kind])] == paths


def test_a_part_of_a_model_type_is_in_one_family_only() -> None:
    parts = [(kind, family.part) for family in FAMILIES.values() for kind in family.members]
    assert len(set(parts)) == len(parts)


@pytest.mark.parametrize(
    ("kind", "part", "name"),
    [
        ("distilbert", None, "distilbert"),
        ("t5", None, "t5 encoder"),
        ("t5", "decoder", "t5 decoder"),
        ("clip", None, "clip text"),
        ("clip", "vision", "clip vision"),
        ("clip_vision_model", None, "clip vision"),
    ],
)
def test_a_family_is_found_by_type_and_part(kind: str, part: str | None, name: str) -> None:
    assert family_of(kind, part) is FAMILIES[name]


@pytest.mark.parametrize(
    ("kind", "part", "message"),
    [
        (
            "gpt2",
            None,
            r"model type 'gpt2' is in no family\. Known: bert, roberta, .*, clip_vision_model; .*families\.py",
        ),
        ("clip", "encoder", "a model of type 'clip' has no part 'encoder'. Choose 'text' or 'vision'."),
        ("bert", "encoder", "a model of type 'bert' has no part 'encoder'. It is not in parts: leave it out."),
    ],
)
def test_what_is_in_no_family_is_refused(kind: str, part: str | None, message: str) -> None:
    with pytest.raises(LabError, match=message):
        family_of(kind, part)


def test_the_overview_has_a_row_a_family() -> None:
    rows = {row["family"]: row for row in overview()}
    assert list(rows) == list(FAMILIES)
    assert rows["t5 encoder"] == {
        "family": "t5 encoder",
        "model types": "t5, mt5",
        "part": "encoder",
        "reads": "text",
        "state 0": "embed_tokens",
        "state 0: after norm": "none",
        "state i": "block.{i}",
        "state i: after norm": "none",
        "last state": "final_layer_norm",
        "last state: after norm": "final_layer_norm",
    }

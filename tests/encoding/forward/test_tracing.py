from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import KINDS, save_image, save_tiny
from torch import Tensor, nn

from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.forward.families import State
from hiddenstates.encoding.forward.tracing import listed, overview, trace
from hiddenstates.encoding.inputs.readers import Input, TextImage

BERT = [State("embeddings", "embeddings.LayerNorm", "embeddings.LayerNorm")]
BERT += [State(f"encoder.layer.{i}", n := f"encoder.layer.{i}.output.LayerNorm", n) for i in range(3)]
EXPECTED = {
    "bert": BERT,
    "t5 encoder": [
        *(State("encoder.embed_tokens", "", "encoder.embed_tokens"),),
        *(State(f"encoder.block.{i}", "", f"encoder.block.{i}.layer.1") for i in range(2)),
        State("encoder.final_layer_norm", "encoder.final_layer_norm", "encoder.final_layer_norm"),
    ],
    "bart decoder": [
        State(*["decoder.layernorm_embedding"] * 3),
        *(State(f"decoder.layers.{i}", *[f"decoder.layers.{i}.final_layer_norm"] * 2) for i in range(3)),
    ],
    "clip text": [
        State("text_model.embeddings", "", "text_model.embeddings"),
        *(State(f"text_model.encoder.layers.{i}", "", f"text_model.encoder.layers.{i}") for i in range(3)),
    ],
    "clip vision": [
        State(*["vision_model.pre_layrnorm"] * 3),
        *(State(f"vision_model.encoder.layers.{i}", "", f"vision_model.encoder.layers.{i}") for i in range(3)),
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_map_is_what_one_reads_in_the_source(tmp_path: Path, name: str) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path, KINDS[name].model_type)), part=KINDS[name].part or None)
    assert list(encoder.state_map) == EXPECTED[name]


@pytest.mark.parametrize("name", KINDS)
def test_each_state_is_what_its_module_and_its_norm_put_out(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    encoder = load_encoder(str(save_tiny(tmp_path, kind.model_type)), part=kind.part or None)
    image = save_image(tmp_path / "a.png", seed=0)
    inputs: dict[str, list[Input]] = {"image": [image], "text and boxes": [TextImage("bern", image)]}
    outputs: dict[str, Tensor] = {}

    def keep(path: str) -> Callable[..., None]:
        return lambda module, args, out: outputs.update({path: out[0] if isinstance(out, tuple) else out})

    root = f"{encoder.part.path}." if encoder.part.path else ""
    for path, module in encoder.model.named_modules():
        module.register_forward_hook(keep(f"{root}{path}"))
    values = encoder.states(inputs.get(kind.reads, ["red flag"])).values
    for state, value in zip(encoder.state_map, values, strict=True):
        for entry in (state.module, state.norm):
            made = [outputs[path] for path in entry.split(", ") if path]
            assert not made or torch.equal(value, torch.cat(made, 1)), entry
        assert state.traced


class Adds(nn.Module):
    """A toy of two layers: its first state is a sum inside its forward, the others go through a norm, or do not."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(5, 4)
        self.inner = nn.Linear(4, 4)
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), nn.Linear(4, 4)])

    def forward(self, ids: Tensor) -> Tensor:
        states = [self.tokens(ids) + 1]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return torch.stack(states)


def test_a_sum_inside_a_forward_is_named_by_who_adds(tmp_path: Path) -> None:
    model, ids = Adds(), torch.tensor([[1, 2, 3]])
    states, values = trace(model, "", lambda: model(ids))
    assert values.shape == (3, 1, 3, 4)
    assert states == (
        State("made in Adds.forward"),
        State("layers.0", "layers.0.1", "layers.0.1"),
        State("layers.1", "", "layers.1"),
    )
    below, _ = trace(model, "tower", lambda: model(ids))
    assert [state.module for state in below] == ["made in tower.forward", "tower.layers.0", "tower.layers.1"]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_table_and_a_list_say_the_same() -> None:
    assert overview(BERT)[0] == {"made by": "embeddings", "norm": "embeddings.LayerNorm", "innermost": BERT[0].inner}
    assert listed(BERT)[1]["index"] == 1
    assert listed(BERT)[1]["norm"] == "encoder.layer.0.output.LayerNorm"

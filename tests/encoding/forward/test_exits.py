"""Early exit: the same states to the last bit, and no layer above the highest that is wanted."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_array_equal
from tiny import KINDS, Kind, inputs_of, save_tiny
from torch import nn

from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.forward.exits import Exit, find_exits
from hiddenstates.encoding.forward.families import State
from hiddenstates.encoding.inspection.small import save_small

TEXTS = ["the flag of bern is red", "a", "bern"]
INSIDE = {"opt": [0], "longformer": [0, 1, 2, 3], "vl-t5": [0], "vl-bart": [0]}
"""States that no module puts out alone: the whole model runs for them."""


def encoder_of(folder: Path, kind: str) -> Encoder:
    """Of a kind of the lab's own pipeline, or of another model type."""
    if kind not in KINDS:
        return load_encoder(str(save_small(folder, kind)))
    return load_encoder(str(save_tiny(folder, KINDS[kind].model_type)), part=KINDS[kind].part or None)


def entered(model: nn.Module, run: Any) -> Counter[str]:
    """How often each module is entered."""
    calls = Counter[str]()
    handles = [
        module.register_forward_pre_hook(lambda *_, path=path: calls.update([path]))
        for path, module in model.named_modules()
    ]
    run()
    for handle in handles:
        handle.remove()
    return calls


@pytest.mark.parametrize(
    "kind", [*KINDS, "gpt2", "qwen3", "albert", "modernbert", "fnet", "opt", "longformer", "dinov2"]
)
def test_some_states_are_those_of_a_whole_run(tmp_path: Path, kind: str) -> None:
    encoder = encoder_of(tmp_path, kind)
    assert [i for i, exit in enumerate(encoder.seen.exits) if exit is None] == INSIDE.get(kind, [])
    read = "image" if not encoder.reads_text else "text"
    inputs = inputs_of(KINDS.get(kind, Kind(kind, reads=read)).reads, TEXTS, tmp_path)
    names = ["0", "1", "2"]
    whole = encoder.pool(names, inputs, encoder.poolings).values
    for layers in ([0], [1], [2, 0], [3], [0, 1, 2, 3]):
        some = encoder.pool(names, inputs, encoder.poolings, layers=layers)
        assert some.layers == tuple(layers)
        for pooling in encoder.poolings:
            assert_array_equal(some.values[pooling], whole[pooling][layers])


@pytest.mark.parametrize("kind", ["bert", "t5 encoder", "bart decoder", "clip vision", "vl-t5", "qwen3", "albert"])
@pytest.mark.parametrize("top", [1, 2])
def test_no_layer_above_the_highest_runs(tmp_path: Path, kind: str, top: int) -> None:
    encoder = encoder_of(tmp_path, kind)
    inputs = inputs_of(KINDS.get(kind, Kind(kind)).reads, TEXTS, tmp_path)[:1]
    modules = [encoder.seen.exits[layer].module for layer in (1, 2, 3)]  # type: ignore[union-attr]
    if kind == "albert":
        assert len(set(modules)) == 1  # one module in all layers
    strategy = Strategy((top,), "single", encoder.poolings[0])
    calls = entered(encoder.model, lambda: encoder.encode(inputs, strategy))
    below, above = set(modules[:top]), set(modules[top:])
    assert sum(calls[module] for module in below) == top
    assert sum(calls[module] for module in above - below) == 0


def test_an_embedding_is_the_same_from_all_states(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path, "bert")
    states = encoder.pool(["0", "1", "2"], TEXTS, encoder.poolings)
    for text in ("concat(0,2)/mean", "sum(-1,1)/max+ln", "0.5*1/mean & 0.5*concat(0,2)/first"):
        made = encoder.encode(TEXTS, text)
        assert_array_equal(made.vectors, states.embed(made.strategy).vectors)


class Doubles(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


class Adds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = Doubles()

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        first = self.layer(x)
        return [x, first, self.layer(first), first + 1]


def test_an_exit_is_where_the_state_is_seen_to_leave() -> None:
    model, x = Adds(), torch.ones(1, 2, 3)
    state_map = [State("made in Adds.forward"), State("layer"), State("layer"), State("layer")]
    found = find_exits(model, "", state_map, torch.stack(model(x)), lambda: model(x))
    assert found == [None, Exit("layer", 0), Exit("layer", 1), None]  # the last is none of the layer's outputs

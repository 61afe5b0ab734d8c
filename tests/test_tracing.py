from dataclasses import replace
from pathlib import Path

import pytest
from tiny import save_image, save_tiny

from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.families import FAMILIES, State
from hiddenstates.encoding.readers import Input, TextImage
from hiddenstates.encoding.tracing import traced


@pytest.mark.parametrize("name", FAMILIES)
def test_the_state_map_is_found_true_of_each_family(tmp_path: Path, name: str) -> None:
    family = FAMILIES[name]
    encoder = load_encoder(str(save_tiny(tmp_path, next(iter(family.members)))), part=family.part)
    image = save_image(tmp_path / "a.png", seed=0)
    inputs: dict[str, list[Input]] = {"image": [image], "text and boxes": [TextImage("bern", image), "red flag"]}
    rows = traced(encoder, inputs.get(family.reads, ["bern", "red flag"]))
    assert [row["module"] for row in rows] == [state.module for state in encoder.state_map]
    assert all(row["by module"] is True for row in rows)
    assert [row["by norm"] for row in rows] == [True if state.norm else None for state in encoder.state_map]


def test_a_state_map_that_is_wrong_is_found_so_and_the_model_is_left_alone(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path, "clip_text_model")))
    last = State("final_layer_norm", "final_layer_norm")
    rows = traced(replace(encoder, family=replace(encoder.family, last=last)), ["bern"])
    assert [row["by module"] for row in rows] == [True, True, True, False]
    assert rows[-1]["by norm"] is False
    assert not encoder.model.final_layer_norm._forward_hooks


def test_boxes_that_are_not_there_put_out_nothing(tmp_path: Path) -> None:
    assert all(row["by module"] for row in traced(load_encoder(str(save_tiny(tmp_path, "vlbart"))), ["bern"]))

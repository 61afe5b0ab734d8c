"""Held against the authors' own code.

tests/data/*_authors.safetensors are the state dicts of tiny models made by VL-T5/src/modeling_t5.py and
modeling_bart.py of github.com/j-min/VL-T5 at commit a07d779, run on transformers 4.2.1, with random normal weights.
tests/data/*_authors_outputs.safetensors are inputs to them and what came out: the encoder's hidden states (what went
into block 0 and came out of each block, read by hooks; the last is what the encoder returned) and the head's logits,
once with boxes alone (`plain`), once with their mask and orders (`ordered`).
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_vl import tiny_config
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.multimodal.authors import load_authors

DATA = Path(__file__).parents[1] / "data"
FAMILIES = ("vlt5", "vlbart")
ORDERED = ("vis_attention_mask", "img_order_ids", "obj_order_ids")


def checkpoint(family: str) -> dict[str, Tensor]:
    return load_file(DATA / f"{family}_authors.safetensors")


def refused(weights: object, path: Path, message: str, family: str = "vlt5", **changes: Any) -> None:
    torch.save(weights, path)
    with pytest.raises(LabError, match=message):
        load_authors(path, tiny_config(family, **changes))


@pytest.mark.parametrize("case", ["plain", "ordered"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_states_and_the_logits_are_the_authors(family: str, case: str) -> None:
    model = load_authors(DATA / f"{family}_authors.safetensors", tiny_config(family))
    recorded = load_file(DATA / f"{family}_authors_outputs.safetensors")
    inputs = {key: value for key, value in recorded.items() if "." not in key}
    if case == "plain":
        inputs = {key: value for key, value in inputs.items() if key not in ORDERED}
    with torch.inference_mode():
        outputs = model(**inputs, output_hidden_states=True)
    states = torch.stack(outputs.encoder_hidden_states)
    assert (states - recorded[f"{case}.hidden_states"]).abs().max() < 1e-5
    assert (outputs.logits - recorded[f"{case}.logits"]).abs().max() < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_of_the_authors_is_ours(family: str) -> None:
    weights = checkpoint(family)
    ours = load_authors(DATA / f"{family}_authors.safetensors", tiny_config(family)).state_dict()
    assert ours.keys() == weights.keys()
    assert all(torch.equal(ours[key], weights[key]) for key in weights)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_several_gpus_saved_loads_too(family: str, tmp_path: Path) -> None:
    named = {
        f"module.{key.replace('encoder.', 'vis_encoder.', 1)}": tensor for key, tensor in checkpoint(family).items()
    }
    torch.save(named, tmp_path / "Epoch30.pth")
    ours = load_authors(tmp_path / "Epoch30.pth", tiny_config(family)).state_dict()
    assert all(torch.equal(ours[key], tensor) for key, tensor in checkpoint(family).items())


def test_a_missing_and_an_unexpected_key_are_named(tmp_path: Path) -> None:
    weights = checkpoint("vlt5")
    weights["answer_head.0.bias"] = weights.pop("encoder.visual_embedding.img_order_embedding.weight")
    message = (
        r"a\.pth: missing \['encoder\.visual_embedding\.img_order\S+\], unexpected \['answer_head\.0\.bias'\]\. Give"
    )
    refused(weights, tmp_path / "a.pth", message)


def test_another_shape_is_named(tmp_path: Path) -> None:
    message = r"feat_embedding\.0\.weight is \(16, 6\) in the file, \(16, 7\) by the config"
    refused(checkpoint("vlbart"), tmp_path / "a.pth", message, "vlbart", feat_dim=7)


def test_a_text_table_in_two_versions_is_refused(tmp_path: Path) -> None:
    weights = checkpoint("vlt5")
    weights["encoder.visual_embedding.obj_order_embedding.weight"][3] += 1
    refused(
        weights, tmp_path / "a.pth", r"obj_order_embedding\.weight differs from shared\.weight, but they are one table"
    )


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    refused({"shared.weight": Path("x")}, tmp_path / "a.pth", r"a\.pth: not read \(UnpicklingError\)")


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    refused({"model": checkpoint("vlt5")}, tmp_path / "a.pth", r"not a plain state dict\. Save model\.state_dict\(\)")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"none\.pth: not read \(FileNotFoundError\)"):
        load_authors(tmp_path / "none.pth", tiny_config("vlt5"))

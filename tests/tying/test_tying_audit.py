"""What the audit tells apart: one object, one storage, equal values, a declaration. And that on the meta device."""

import pytest
import torch
from torch import nn

from hiddenstates.core.errors import LabError
from hiddenstates.tying.audit import audit_tying, embeddings, groups, matching, size
from hiddenstates.tying.cases import CASES, full_size, small

TABLE = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]


def pair(second: nn.Module | None = None) -> nn.ModuleDict:
    """Two 3 × 2 tables of other numbers, or one and the given one."""
    first = nn.Embedding.from_pretrained(torch.arange(6.0).view(3, 2), freeze=False)
    return nn.ModuleDict({"a": first, "b": second or nn.Embedding.from_pretrained(torch.ones(3, 2).cumsum(0))})


def kinds(model: nn.Module) -> list[bool]:
    """Are a and b the same by object, storage, values?"""
    return [groups(audit_tying(model), kind) != [] for kind in ("object", "storage", "values")]


def test_two_tables() -> None:
    assert kinds(pair()) == [False, False, False]
    audit = audit_tying(pair())
    assert audit.loc["a.weight", "shape"] == (3, 2)
    assert size(audit) == (12, 48)  # two of 6 numbers, 4 bytes each


def test_one_object() -> None:
    model = pair()
    model["b"].weight = model["a"].weight
    assert kinds(model) == [True, True, True]
    assert size(audit_tying(model)) == (6, 24)


def test_one_module_in_two_places_is_seen_in_both() -> None:
    module = nn.Embedding(3, 2)
    model = nn.ModuleDict({"a": module, "b": module})
    assert groups(audit_tying(model)) == [["a.weight", "b.weight"]]


def test_one_storage_under_two_objects() -> None:
    model = pair()
    model["b"].weight = nn.Parameter(model["a"].weight.data)
    assert kinds(model) == [False, True, True]


def test_a_copy_is_equal_until_the_first_step() -> None:
    model = pair()
    model["b"].weight = nn.Parameter(model["a"].weight.detach().clone())
    assert kinds(model) == [False, False, True]
    with torch.no_grad():
        model["b"].weight[2, 1] += 1
    assert kinds(model) == [False, False, False]


def test_constants_are_not_called_equal() -> None:
    assert groups(audit_tying(nn.Sequential(nn.LayerNorm(4), nn.LayerNorm(4))), "values") == []


def test_a_declaration_is_not_a_fact() -> None:
    model = small("T5")
    model.lm_head.weight = nn.Parameter(model.shared.weight.detach().clone())
    head = audit_tying(model).loc["lm_head.weight"]
    assert (head["declared"], head["object"], head["values"]) == ("shared.weight", "lm_head.weight", "shared.weight")


def test_on_the_meta_device_only_the_object_tells() -> None:
    with torch.device("meta"):
        tied, loose = pair(nn.Embedding(3, 2)), pair(nn.Embedding(3, 2))
    tied["b"].weight = tied["a"].weight = nn.Parameter(torch.empty(3, 2, device="meta"))
    loose["a"].weight = nn.Parameter(torch.empty(3, 2, device="meta"))
    assert loose["a"].weight.data_ptr() == loose["b"].weight.data_ptr()  # what one must not go by
    assert [groups(audit_tying(model)) != [] for model in (tied, loose)] == [True, False]
    assert audit_tying(tied)[["storage", "values"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("BERT", ["bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"]),
        ("T5", [*TABLE, "lm_head.weight"]),
        ("BART", [*(f"model.{place}" for place in TABLE), "lm_head.weight"]),
        ("CLIP", []),
        ("VL-T5", [*TABLE, "encoder.visual_embedding.obj_order_embedding.weight", "lm_head.weight"]),
    ],
)
def test_who_shares_in_each_family_small_and_full_size(name: str, shared: list[str]) -> None:
    for model in (small(name), full_size(name)):
        assert [sorted(group) for group in groups(embeddings(model))] == ([sorted(shared)] if shared else [])


@pytest.mark.parametrize(
    ("name", "rows", "width"),
    [("T5", 32128, 768), ("BART", 50265, 768), ("VL-T5", 32200, 768), ("VL-BART", 50465, 768), ("CLIP", 49408, 512)],
)
def test_the_base_sizes(name: str, rows: int, width: int) -> None:
    audit = embeddings(full_size(name))
    assert audit["shape"].iloc[0] == (rows, width)
    assert audit["bytes"].iloc[0] == rows * width * 4


def test_the_towers_of_clip_share_nothing() -> None:
    clip = small("CLIP")
    assert matching(clip.text_model, clip.vision_model) == []
    clip.vision_model.embeddings.position_embedding.weight = clip.text_model.embeddings.position_embedding.weight
    assert matching(clip.text_model, clip.vision_model) == ["embeddings.position_embedding.weight"]


def test_every_case_can_be_made_again() -> None:
    for name in CASES:
        first, again = (small(name, seed=3).state_dict() for _ in range(2))
        assert all(torch.equal(first[key], again[key]) for key in first)
    with pytest.raises(LabError, match=r"no family 'GPT' to make\. Known: BERT, T5, BART"):
        small("GPT")

"""The traps of transformers 5, one by one: a test fails when a version mends its trap."""

import pytest
import torch
from torch import nn

from hiddenstates.core.errors import LabError
from hiddenstates.tying import life
from hiddenstates.tying.cases import full_size, small
from hiddenstates.tying.scaling import Scaling, measure_scaling, unread
from hiddenstates.tying.summary import by_role, reading_table, token_tables, trap_table

UNTIED = {"tie_word_embeddings": False}
SIDES = ["model.decoder.embed_tokens.weight", "model.encoder.embed_tokens.weight"]


@pytest.mark.parametrize("name", ["BERT", "T5", "BART", "VL-T5", "VL-BART"])
def test_tied_models_stay_tied_all_their_lives(name: str) -> None:
    found = life.live(small(name), 70)
    assert life.traps(found) == {}
    assert set(by_role(found).to_numpy().flat) == {"A"}
    assert {shape[0] for shape in found.reloaded.loc[found.reloaded["declared"] != "", "shape"]} == {70}


def test_the_model_itself_is_left_as_it_was() -> None:
    model = small("T5")
    life.live(model, 70)
    assert model.shared.weight.shape == (60, 16)
    assert model.lm_head.weight is model.shared.weight


@pytest.mark.parametrize("name", ["T5", "VL-T5"])
def test_t5_stays_tied_when_asked_to_untie(name: str) -> None:
    found = life.live(small(name, **UNTIED), 70, asked=False)
    assert list(life.traps(found)) == ["asked to untie, stays tied"]
    assert "lm_head.weight" in life.traps(found)["asked to untie, stays tied"]


def test_vl_bart_refuses_to_untie() -> None:
    with pytest.raises(LabError, match=r"vlbart: .* so it must stay tied\."):
        small("VL-BART", **UNTIED)


def test_t5_asked_to_untie_only_drops_its_scaling() -> None:
    ids = torch.tensor([[5, 7, 9]])
    logits = [small("T5", **changes)(input_ids=ids, decoder_input_ids=ids).logits for changes in ({}, UNTIED)]
    torch.testing.assert_close(logits[1], logits[0] * 4)  # √16


def test_an_untied_bart_loses_two_tables_when_resized_saved_and_loaded() -> None:
    model = small("BART", **UNTIED)
    found = life.live(model, 70, asked=False)
    assert by_role(found)["made"].tolist() == ["A", "B", "C", "D"]  # shared, encoder, decoder, head
    assert by_role(found)["resized"].tolist() == ["A", "A", "A", "B"]
    assert by_role(found)["reloaded"].tolist() == ["A", "B?", "C?", "D"]
    assert life.traps(found) == {
        "ties again when resized": [*SIDES, "model.shared.weight"],
        "comes apart when reloaded": [*SIDES, "model.shared.weight"],
        "random after a reload": SIDES,
    }
    tables = {
        name for name in found.written if "embed_tokens" in name or name in ("model.shared.weight", "lm_head.weight")
    }
    assert tables == {"lm_head.weight", "model.shared.weight"}


def test_what_it_shares_again_is_the_one_table_that_nobody_read() -> None:
    model = small("BART", **UNTIED)
    assert unread(model) == ["model.shared.weight"]
    unread_rows = model.model.shared.weight.detach().clone()
    learned = model.model.encoder.embed_tokens.weight.detach().clone()
    life.resize(model, 70)
    resized = model.model.encoder.embed_tokens.weight[:60]
    assert torch.equal(resized, unread_rows)
    assert not torch.equal(resized, learned)


def test_a_file_with_two_tables_comes_apart_when_loaded() -> None:
    model = small("T5")
    model.lm_head.weight = nn.Parameter(model.shared.weight.detach() + 1)
    found = life.live(model, 60)
    assert life.traps(found)["declared but not shared"] == ["lm_head.weight"]
    assert by_role(found)["made"].tolist() == ["A", "A", "A", "B"]


def test_sharing_that_no_one_declared_is_named() -> None:
    model = small("BART", **UNTIED)
    model.model.decoder.embed_tokens.weight = model.model.encoder.embed_tokens.weight
    assert life.traps(life.live(model, 60))["shared but not declared"] == SIDES


def test_full_size_on_the_meta_device() -> None:
    found = life.live(full_size("BART"), 50465)
    assert list(found.audits) == ["made", "resized"]
    assert life.traps(found) == {}
    assert found.resized["shape"].iloc[0] == (50465, 768)


def test_a_model_without_one_table_is_refused() -> None:
    with pytest.raises(LabError, match=r"CLIPModel has no one token table to resize: audit it as it is\."):
        life.live(small("CLIP"), 70)


@pytest.mark.parametrize(
    ("name", "changes", "scaling"),
    [
        ("T5", {}, Scaling(1, 0.25)),  # out by 1/√16
        ("T5", UNTIED, Scaling(1, 1)),
        ("T5", {"d_model": 64}, Scaling(1, 0.125)),
        ("BART", {}, Scaling(1, 1)),
        ("BART", UNTIED, Scaling(1, 1)),
        ("BART", {"scale_embedding": True}, Scaling(4, 1)),  # in by √16
    ],
)
def test_the_factors_as_measured(name: str, changes: dict[str, object], scaling: Scaling) -> None:
    found = measure_scaling(small(name, **changes))
    assert (found.input, found.output) == pytest.approx((scaling.input, scaling.output), rel=1e-5)


def test_a_family_without_points_is_refused() -> None:
    with pytest.raises(LabError, match=r"no points to measure 'bert' at\. Known: t5, bart\."):
        measure_scaling(small("BERT"))


def test_tables_for_the_notebook() -> None:
    sizes = token_tables({"VL-T5": full_size("VL-T5")}).loc["VL-T5"]
    assert sizes["table"] == "32200 × 768"
    assert sizes["parameters"] == 32200 * 768
    assert sizes["one by one"] == 5 * 32200 * 768
    assert sizes["held by"] == "shared table, encoder, visual object order, decoder, head"
    model = small("BART", **UNTIED)
    assert reading_table({"b": model}).loc["b", "never read"] == "shared table"
    table = trap_table({"b": life.live(model, 70, asked=False), "tied": life.live(small("T5"), 70)})
    assert table["which"].tolist() == ["decoder, encoder, shared table"] * 2 + ["decoder, encoder"]

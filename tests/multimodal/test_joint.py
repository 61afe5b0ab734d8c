"""What VL-T5 and VL-BART have in common, each held for both."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_vl import boxes, tiny_config, tiny_vl
from torch import Tensor
from transformers import AutoModel, AutoModelForSeq2SeqLM, BartConfig, T5Config
from transformers.utils.logging import disable_progress_bar

from hiddenstates.core.errors import LabError

disable_progress_bar()
PLAIN = {"vlt5": T5Config, "vlbart": BartConfig}
both = pytest.mark.parametrize("family", PLAIN)

IDS = torch.tensor([[9, 5, 12, 7], [6, 11, 4, 8]])
DECODER_IDS = torch.tensor([[2, 8, 10], [2, 13, 14]])


def run(model: Any, **inputs: Any) -> Any:
    with torch.inference_mode():
        return model(decoder_input_ids=DECODER_IDS[: len(inputs["input_ids"])], output_hidden_states=True, **inputs)


def states(model: Any, **inputs: Any) -> Tensor:
    return torch.stack(run(model, **inputs).encoder_hidden_states)  # layer batch text+box d_model


def tables(model: Any) -> list[Tensor]:
    """Every parameter with as many rows as the vocabulary, under each of its names."""
    named = model.named_parameters(remove_duplicate=False)
    return [parameter for _, parameter in named if parameter.shape[0] == model.config.vocab_size]


@both
def test_text_alone_is_exactly_the_plain_model(family: str) -> None:
    model = tiny_vl(family)
    config = {key: value for key, value in model.config.to_dict().items() if key != "model_type"}
    plain = AutoModelForSeq2SeqLM.from_config(PLAIN[family](**config)).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "visual_embedding" not in k})
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    ours, theirs = (run(m, input_ids=IDS, attention_mask=mask) for m in (model, plain))
    assert torch.equal(ours.logits, theirs.logits)
    for state, plain_state in zip(ours.encoder_hidden_states, theirs.encoder_hidden_states, strict=True):
        assert torch.equal(state, plain_state)


@both
def test_text_comes_first_and_boxes_after_it_in_every_state(family: str) -> None:
    model = tiny_vl(family)
    values = states(model, input_ids=IDS, **boxes())
    assert values.shape == (2 + 1, 2, 4 + 3, 16)
    assert torch.equal(values[0, :, :4], states(model, input_ids=IDS)[0])
    alone = model.get_encoder().visual_embedding(**{key[4:]: value for key, value in boxes().items()})
    assert torch.equal(values[0, :, 4:], alone)
    assert not torch.allclose(values[1, :, :4], states(model, input_ids=IDS)[1])  # the text has seen the boxes


@both
def test_a_masked_box_changes_nothing(family: str) -> None:
    model = tiny_vl(family)
    mask = torch.tensor([[1, 1, 0], [1, 0, 1]])
    shown = run(model, input_ids=IDS, **boxes(), vis_attention_mask=mask)
    other = boxes()
    other["vis_feats"][mask == 0] = 7.0
    hidden = run(model, input_ids=IDS, **other, vis_attention_mask=mask)
    seen = torch.cat([torch.ones_like(IDS), mask], dim=1).bool()
    torch.testing.assert_close(hidden.encoder_last_hidden_state[seen], shown.encoder_last_hidden_state[seen])
    torch.testing.assert_close(hidden.logits, shown.logits)
    assert not torch.allclose(run(model, input_ids=IDS, **boxes()).logits, shown.logits)


@both
def test_all_boxes_masked_is_text_alone(family: str) -> None:
    model = tiny_vl(family)
    masked = run(model, input_ids=IDS, **boxes(), vis_attention_mask=torch.zeros(2, 3))
    torch.testing.assert_close(masked.logits, run(model, input_ids=IDS).logits)


@both
def test_alone_or_padded_in_a_batch(family: str) -> None:
    model = tiny_vl(family)
    ids = IDS.clone()
    ids[1, 2:] = model.config.pad_token_id
    together = states(model, input_ids=ids, **boxes())  # no mask: the pad id tells
    alone = states(model, input_ids=ids[1:, :2], **{key: value[1:] for key, value in boxes().items()})
    torch.testing.assert_close(together[:, 1:, [0, 1, 4, 5, 6]], alone, atol=1e-5, rtol=1e-5)


@both
def test_the_order_of_boxes_matters_by_their_order_ids_alone(family: str) -> None:
    model = tiny_vl(family)
    turned = {key: value.flip(1) for key, value in boxes().items()}
    here = states(model, input_ids=IDS, **boxes())
    there = states(model, input_ids=IDS, **turned, obj_order_ids=torch.tensor([[2, 1, 0]]))
    torch.testing.assert_close(there[:, :, 4:].flip(2), here[:, :, 4:], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(states(model, input_ids=IDS, **turned)[:, :, 4:].flip(2), here[:, :, 4:])


@both
def test_the_order_of_objects_is_the_text_table_itself(family: str, tmp_path: Path) -> None:
    model = AutoModelForSeq2SeqLM.from_config(tiny_config(family))
    model.resize_token_embeddings(50, mean_resizing=False)
    model.save_pretrained(tmp_path)
    saved = (AutoModelForSeq2SeqLM.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path))
    for changed in (AutoModelForSeq2SeqLM.from_config(tiny_config(family)), model, *saved):
        shared = changed.get_input_embeddings().weight
        assert changed.get_encoder().visual_embedding.obj_order_embedding.weight is shared
        assert len(tables(changed)) >= 4
        assert all(table is shared for table in tables(changed))


@both
def test_saved_and_loaded_nothing_is_missing(family: str, tmp_path: Path) -> None:
    model = tiny_vl(family)
    model.save_pretrained(tmp_path)
    before = run(model, input_ids=IDS, **boxes())
    for kind in (AutoModel, AutoModelForSeq2SeqLM):
        loaded, report = kind.from_pretrained(tmp_path, output_loading_info=True)
        assert not any(report.values()), report
        after = run(loaded.eval(), input_ids=IDS, **boxes())
        assert torch.equal(after.encoder_last_hidden_state, before.encoder_last_hidden_state)
    assert torch.equal(after.logits, before.logits)


@both
def test_writing_runs_the_encoder_once(family: str) -> None:
    model = tiny_vl(family)
    calls: list[int] = []
    model.get_encoder().register_forward_hook(lambda *_: calls.append(1))
    inputs = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS), **boxes()}
    words = model.generate(**inputs, max_new_tokens=4, min_new_tokens=4, num_beams=2)
    assert (words.shape, len(calls)) == ((2, 1 + 4), 1)


@both
def test_what_is_written_is_the_likeliest_word_after_another(family: str) -> None:
    model = tiny_vl(family)
    masks = {"attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]), "vis_attention_mask": torch.eye(3)[:2]}
    words = model.generate(IDS, **masks, **boxes(), max_new_tokens=3, min_new_tokens=3, forced_eos_token_id=None)
    with torch.no_grad():
        logits = model(IDS, **masks, **boxes(), decoder_input_ids=words[:, :-1]).logits
    logits[..., model.config.eos_token_id] = -torch.inf  # three words were asked for
    assert torch.equal(logits.argmax(-1), words[:, 1:])


@both
def test_the_loss_reaches_every_weight_of_a_box(family: str) -> None:
    model = tiny_vl(family)
    model(input_ids=IDS, labels=DECODER_IDS, **boxes()).loss.backward()
    for name, parameter in model.get_encoder().visual_embedding.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@both
def test_a_mask_that_cannot_be_told_is_asked_for(family: str) -> None:
    model = tiny_vl(family)
    outputs = model.get_encoder()(IDS, **boxes())
    with pytest.raises(LabError, match="no attention_mask, and no input_ids and pad id to tell padding by"):
        model(encoder_outputs=outputs, decoder_input_ids=DECODER_IDS)


@both
@pytest.mark.parametrize("masks", [{"vis_attention_mask": torch.ones(2, 2)}, {"attention_mask": torch.ones(2, 8)}])
def test_masks_that_do_not_fit_what_the_encoder_gave_are_refused(family: str, masks: dict[str, Tensor]) -> None:
    model = tiny_vl(family)
    inputs = {"attention_mask": torch.ones_like(IDS), "decoder_input_ids": DECODER_IDS} | masks
    with pytest.raises(LabError, match="do not make up the encoder's 7 positions"):
        model(encoder_outputs=model.get_encoder()(IDS, **boxes()), **inputs)


@both
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vis_pos": None}, "vis_feats came without vis_pos: give the place"),
        ({"vis_feats": None}, "boxes came without vis_feats: give the feature of each box"),
        ({"vis_feats": torch.zeros(2, 3, 7)}, r"vis_feats has shape \(2, 3, 7\): give \(2, 3, 6\)"),
        ({"vis_feats": torch.zeros(3, 6)}, r"vis_feats has shape \(3, 6\)"),
        ({"vis_feats": torch.zeros(1, 3, 6)}, r"vis_feats has shape \(1, 3, 6\): give \(2, 3, 6\)"),
        ({"vis_pos": torch.zeros(2, 3, 5)}, r"vis_pos has shape \(2, 3, 5\): give \(2, 3, 4\)"),
        ({"vis_pos": torch.zeros(2, 2, 4)}, r"vis_pos has shape \(2, 2, 4\): give \(2, 3, 4\)"),
        ({"vis_attention_mask": torch.ones(2, 4)}, r"vis_attention_mask has shape \(2, 4\): give \(2, 3\)"),
        ({"attention_mask": torch.ones(2, 7)}, r"attention_mask has shape \(2, 7\): give \(2, 4\)"),
        ({"obj_order_ids": torch.tensor([[0, 1, 10]])}, "obj_order_ids goes from 0 to 10: the config has 0 to 9"),
        ({"obj_order_ids": torch.tensor([[0, -1, 2]])}, "obj_order_ids goes from -1 to 2"),
        ({"obj_order_ids": torch.tensor([[0, 1]])}, r"obj_order_ids has shape \(1, 2\): give \(2, 3\)"),
        ({"img_order_ids": torch.tensor([[0, 1, 2]])}, "img_order_ids goes from 0 to 2: the config has 0 to 1"),
        (boxes(n_boxes=11), "11 boxes are more than the 10 visual ids of the config: give fewer boxes"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(family: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        run(tiny_vl(family), **({"input_ids": IDS} | boxes() | change))


@both
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos_dim": 5}, "pos_dim is 5, but x1, x2, y1, y2 place a box: give 4"),
        ({"n_vis_ids": 41}, "n_vis_ids 41 are more than the table's rows"),
        ({"default_obj_order_ids": [39, 40]}, "default_obj_order_ids go beyond the text table's 40 rows"),
    ],
)
def test_a_config_that_cannot_be_is_refused(family: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(LabError, match=message):
        tiny_config(family, **change)

import pytest
import torch
from tiny_vl import boxes, tiny_config, tiny_vl

from hiddenstates.core.errors import LabError
from hiddenstates.multimodal import VLBartConfig, VLBartForConditionalGeneration

IDS = torch.tensor([[9, 5, 12, 7], [6, 11, 4, 8]])


def test_the_base_model_has_the_published_table() -> None:
    with torch.device("meta"):
        model = VLBartForConditionalGeneration(VLBartConfig())
    table = model.model.encoder.visual_embedding.obj_order_embedding.weight
    assert table is model.model.shared.weight
    assert table is model.lm_head.weight
    assert table.shape == (50265 + 200, 768)
    assert (len(model.model.encoder.layers), len(model.model.decoder.layers)) == (6, 6)


def first_state(**changes: bool) -> tuple[torch.nn.Module, torch.Tensor]:
    encoder = tiny_vl("vlbart", **changes).model.encoder
    return encoder, encoder(IDS, **boxes(), output_hidden_states=True).hidden_states[0]


@torch.inference_mode()
def test_positions_and_the_embedding_norm_are_the_texts_alone() -> None:
    encoder, state = first_state()
    rows = encoder.embed_positions.weight[2:6]  # BART's positions begin at row 2
    text = encoder.layernorm_embedding(encoder.embed_tokens.weight[IDS] + rows)
    alone = encoder.visual_embedding(boxes()["vis_feats"], boxes()["vis_pos"])
    assert torch.equal(state, torch.cat([text, alone], dim=1))


@torch.inference_mode()
def test_boxes_share_the_embedding_norm_where_the_config_says_so() -> None:
    encoder, state = first_state(share_vis_lang_layer_norm=True)
    alone = encoder.visual_embedding(boxes()["vis_feats"], boxes()["vis_pos"])
    assert torch.equal(state[:, 4:], encoder.layernorm_embedding(alone))


@torch.inference_mode()
def test_state_i_is_what_layer_i_made_the_last_one_too() -> None:
    encoder = tiny_vl("vlbart").model.encoder
    outputs: list[torch.Tensor] = []
    for layer in encoder.layers:
        layer.register_forward_hook(lambda *given: outputs.append(given[2]))
    result = encoder(IDS, **boxes(), output_hidden_states=True)
    assert all(torch.equal(state, made) for state, made in zip(result.hidden_states[1:], outputs, strict=True))
    assert torch.equal(result.last_hidden_state, outputs[-1])


@torch.inference_mode()
def test_scaling_the_words_leaves_the_order_of_objects_as_it_is() -> None:
    encoder, scaled = first_state(scale_embedding=True)
    assert encoder.embed_tokens.embed_scale == 4
    assert torch.equal(scaled[:, 4:], first_state()[1][:, 4:])


def test_dropped_layers_are_dropped_in_training_only() -> None:
    encoder = tiny_vl("vlbart", encoder_layerdrop=1.0, dropout=0.0).model.encoder
    calls: list[int] = []
    for layer in encoder.layers:
        layer.register_forward_hook(lambda *_: calls.append(1))
    encoder(IDS, **boxes())
    assert len(calls) == 2
    encoder.train()(IDS, **boxes())
    assert len(calls) == 2


def test_a_table_that_is_not_tied_cannot_hold_the_order_of_objects() -> None:
    with pytest.raises(LabError, match="the order of objects is read from the text table, so it must stay tied"):
        tiny_config("vlbart", tie_word_embeddings=False)

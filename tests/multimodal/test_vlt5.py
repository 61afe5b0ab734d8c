import pytest
import torch
from tiny_vl import boxes, tiny_vl
from torch import Tensor
from torch.nn.functional import pad

from hiddenstates.multimodal import VLT5Config, VLT5ForConditionalGeneration

IDS = torch.tensor([[9, 5, 12, 7], [6, 11, 4, 8]])


def test_the_base_model_has_the_published_table() -> None:
    with torch.device("meta"):
        model = VLT5ForConditionalGeneration(VLT5Config())
    table = model.encoder.visual_embedding.obj_order_embedding.weight
    assert table is model.shared.weight
    assert table is model.lm_head.weight
    assert table.shape == (32000 + 100 + 100, 768)
    assert (len(model.encoder.block), len(model.decoder.block)) == (12, 12)


def test_every_block_gets_relative_bias_between_text_and_text_only() -> None:
    encoder = tiny_vl("vlt5").encoder
    seen: list[Tensor] = []
    for block in encoder.block:
        block.layer[0].SelfAttention.register_forward_pre_hook(
            lambda _, args, kwargs: seen.append(kwargs["position_bias"]), with_kwargs=True
        )
    encoder(IDS, **boxes())
    text = encoder.block[0].layer[0].SelfAttention.compute_bias(4, 4)
    assert len(seen) == 2
    for bias in seen:
        assert bias.shape == (1, 4, 7, 7)
        assert torch.equal(bias[:, :, :4, :4], text)
        assert text.abs().min() > 0
        assert bias[:, :, 4:].abs().max() == bias[:, :, :, 4:].abs().max() == 0


@torch.inference_mode()
def test_to_a_box_the_first_word_is_as_near_as_the_last() -> None:
    encoder = tiny_vl("vlt5").encoder
    here, there = (
        encoder(ids, **boxes(), output_hidden_states=True).hidden_states[1] for ids in (IDS, IDS.roll(2, dims=1))
    )
    torch.testing.assert_close(here[:, 4:], there[:, 4:])
    assert not torch.allclose(here[:, :4].roll(2, dims=1), there[:, :4])  # words know how far they are from each other


def test_the_last_state_went_through_the_final_norm_and_the_others_did_not() -> None:
    encoder = tiny_vl("vlt5").encoder
    outputs: list[Tensor] = []
    for block in encoder.block:
        block.register_forward_hook(lambda *given: outputs.append(given[2][0]))
    with torch.inference_mode():
        states = encoder(IDS, **boxes(), output_hidden_states=True).hidden_states
        assert torch.equal(states[1], outputs[0])
        assert torch.equal(states[2], encoder.final_layer_norm(outputs[1]))


@torch.inference_mode()
@pytest.mark.parametrize(("left", "right"), [(2, 0), (0, 2)])
def test_padding_left_or_right_changes_nothing(left: int, right: int) -> None:
    encoder = tiny_vl("vlt5").encoder
    padded = pad(IDS, (left, right), value=0)
    kept = [
        *range(left, left + 4),
        *range(left + 4 + right, left + 4 + right + 3),
    ]  # the words, and the boxes at the end
    alone, together = (encoder(ids, **boxes()).last_hidden_state for ids in (IDS, padded))
    torch.testing.assert_close(together[:, kept], alone, atol=1e-5, rtol=1e-5)


def test_its_first_weights_are_spread_as_t5s() -> None:
    """transformers takes the parts of a class that is not its own for initialized, and leaves their spread at 1."""
    torch.manual_seed(0)
    config = VLT5Config(vocab_size=300, d_model=64, d_kv=16, d_ff=256, num_layers=1, num_heads=4, feat_dim=16)
    encoder = VLT5ForConditionalGeneration(config).encoder
    attention, dense = encoder.block[0].layer[0].SelfAttention, encoder.block[0].layer[1].DenseReluDense
    assert attention.q.weight.std().item() == pytest.approx((64 * 16) ** -0.5, rel=0.05)
    assert attention.v.weight.std().item() == pytest.approx(64**-0.5, rel=0.05)
    assert dense.wo.weight.std().item() == pytest.approx(256**-0.5, rel=0.05)
    assert encoder.visual_embedding.feat_embedding[0].weight.std().item() == pytest.approx(16**-0.5, rel=0.05)

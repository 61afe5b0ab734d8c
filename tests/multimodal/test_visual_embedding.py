import pytest
import torch
from tiny_vl import tiny_config
from torch import nn

from hiddenstates.multimodal.visual_embedding import VisualEmbedding

FEATS = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])  # batch 1, box 2, feature 2
POS = torch.tensor([[[0.0, 0.5, 0.2, 0.6], [0.5, 1.0, 0.0, 1.0]]])
AREAS = torch.tensor([[0.5 * 0.4, 0.5 * 1.0]])


class Halve(nn.Module):
    """Stands where a norm would."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values / 2


@torch.no_grad()
def embedding(**changes: object) -> VisualEmbedding:
    """Two dimensions: the first reads a feature's first number, the second the area; orders count in hundreds."""
    sizes = {"d_model": 2, "feat_dim": 2, "vocab_size": 6, "n_vis_ids": 3}
    module = VisualEmbedding(tiny_config("vlt5", **(sizes | changes)), Halve)
    for parameter in module.parameters():
        parameter.zero_()
    module.feat_embedding[0].weight[0, 0] = 1
    module.absolute_vis_pos_embedding[0].weight[1, 4] = 1
    if module.config.use_vis_order_embedding:
        module.img_order_embedding.weight[:] = torch.tensor([[0.0, 0.0], [1000.0, 0.0]])
        module.obj_order_embedding.weight[:] = 100 * torch.arange(6.0)[:, None] * torch.tensor([1.0, 0.0])
    return module


@torch.no_grad()
def read(module: VisualEmbedding, **orders: torch.Tensor) -> tuple[list[float], list[float]]:
    """The first dimension of the two boxes, and the second."""
    first, second = module(FEATS, POS, **orders)[0].T.tolist()
    return first, pytest.approx(second)


def test_the_sum_of_feature_area_and_the_last_rows_of_the_table() -> None:
    assert read(embedding(use_vis_layer_norm=False)) == ([1 + 500, 3 + 400], AREAS[0].tolist())


def test_each_part_has_its_own_norm_and_orders_have_none() -> None:
    assert read(embedding()) == ([0.5 + 500, 1.5 + 400], (AREAS[0] / 2).tolist())


def test_or_the_sum_has_one() -> None:
    assert read(embedding(individual_vis_layer_norm=False)) == ([501 / 2, 403 / 2], (AREAS[0] / 2).tolist())


def test_without_orders_the_feature_and_the_place_alone() -> None:
    module = embedding(use_vis_order_embedding=False, use_vis_layer_norm=False)
    assert read(module) == ([1, 3], AREAS[0].tolist())
    assert "obj_order_embedding.weight" not in module.state_dict()


def test_orders_are_taken_from_the_ids() -> None:
    orders = {"img_order_ids": torch.tensor([[1, 0]]), "obj_order_ids": torch.tensor([[2, 0]])}
    assert read(embedding(use_vis_layer_norm=False), **orders)[0] == [1 + 1000 + 300, 3 + 0 + 500]


def test_named_rows_go_before_the_last() -> None:
    module = embedding(use_vis_layer_norm=False, default_obj_order_ids=[2, 4, 1])
    assert read(module)[0] == [1 + 200, 3 + 400]
    assert read(module, obj_order_ids=torch.tensor([[2, 2]]))[0] == [1 + 100, 3 + 100]


@torch.no_grad()
def test_the_place_is_read_as_x1_x2_y1_y2_area() -> None:
    module = embedding(use_vis_layer_norm=False, use_vis_order_embedding=False)
    module.absolute_vis_pos_embedding[0].weight[1] = torch.tensor([1.0, 10.0, 100.0, 1000.0, 10000.0])
    assert module(FEATS, POS)[0, 0, 1].item() == pytest.approx(0 * 1 + 0.5 * 10 + 0.2 * 100 + 0.6 * 1000 + 0.2 * 10000)

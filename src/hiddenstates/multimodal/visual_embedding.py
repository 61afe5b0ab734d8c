"""What a box looks like to the encoder (Cho et al. 2021, section 3.1): its feature, its place, and its order."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hiddenstates.core.errors import LabError
from hiddenstates.multimodal.configuration import VLBartConfig, VLT5Config


class VisualEmbedding(nn.Module):
    """feature + (x1, x2, y1, y2, area) + order of the image + order of the object.

    `obj_order_embedding` is the text table itself: the model that holds this module ties it to `shared`.
    `layer_norm` makes one norm of the family, RMS norm in T5 and LayerNorm in BART.
    """

    def __init__(self, config: VLT5Config | VLBartConfig, layer_norm: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.config = config
        each = layer_norm if config.use_vis_layer_norm and config.individual_vis_layer_norm else nn.Identity
        both = layer_norm if config.use_vis_layer_norm and not config.individual_vis_layer_norm else nn.Identity
        self.feat_embedding = nn.Sequential(nn.Linear(config.feat_dim, config.d_model), each())
        self.absolute_vis_pos_embedding = nn.Sequential(nn.Linear(config.pos_dim + 1, config.d_model), each())
        if config.use_vis_order_embedding:
            self.img_order_embedding = nn.Embedding(config.n_images, config.d_model)
            self.obj_order_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.layer_norm = both()

    def forward(
        self,
        feats: Float[Tensor, "batch box feat_dim"],
        pos: Float[Tensor, "batch box 4"],
        img_order_ids: Int[Tensor, "#batch box"] | None = None,
        obj_order_ids: Int[Tensor, "#batch box"] | None = None,
    ) -> Float[Tensor, "batch box d_model"]:
        """Boxes in the space of the text's embeddings.

        pos:           x1, x2, y1, y2 of each box, in [0, 1]
        img_order_ids: which image a box lies in, default the first
        obj_order_ids: which object of its image a box is, default 0, 1, 2, … as they come
        """
        area = (pos[..., 1] - pos[..., 0]) * (pos[..., 3] - pos[..., 2])  # batch box
        place = torch.cat([pos, area[..., None]], dim=-1)  # batch box 5
        boxes = self.feat_embedding(feats) + self.absolute_vis_pos_embedding(place)
        if self.config.use_vis_order_embedding:
            boxes = boxes + self._order(feats, img_order_ids, obj_order_ids)
        return self.layer_norm(boxes)

    def rows(self, obj_order_ids: Int[Tensor, "batch box"]) -> Int[Tensor, "batch box"]:
        """The rows of the text table that stand for these places in the order of objects."""
        if self.config.default_obj_order_ids is None:
            return self.obj_order_embedding.weight.shape[0] - 1 - obj_order_ids
        return obj_order_ids.new_tensor(self.config.default_obj_order_ids)[obj_order_ids]

    def _order(
        self, feats: Tensor, img_order_ids: Tensor | None, obj_order_ids: Tensor | None
    ) -> Float[Tensor, "batch box d_model"]:
        n_boxes = feats.shape[1]
        if img_order_ids is None:
            img_order_ids = torch.zeros(1, n_boxes, dtype=torch.long, device=feats.device)
        if obj_order_ids is None:
            obj_order_ids = torch.arange(n_boxes, device=feats.device)[None]
        return self.img_order_embedding(img_order_ids) + self.obj_order_embedding(self.rows(obj_order_ids))


def check_boxes(
    config: VLT5Config | VLBartConfig,
    batch: int,
    vis_feats: Tensor,
    vis_pos: Tensor | None,
    vis_attention_mask: Tensor | None,
    img_order_ids: Tensor | None,
    obj_order_ids: Tensor | None,
) -> None:
    """Refuse boxes of another shape, and those whose order would be read from rows of the text table that are words."""
    if vis_pos is None:
        raise LabError("vis_feats came without vis_pos: give the place (x1, x2, y1, y2) of each box.")
    n_boxes = vis_feats.shape[1]
    shapes = {
        "vis_feats": (vis_feats, (batch, n_boxes, config.feat_dim)),
        "vis_pos": (vis_pos, (batch, n_boxes, config.pos_dim)),
        "vis_attention_mask": (vis_attention_mask, (batch, n_boxes)),
    }
    for name, (tensor, shape) in shapes.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise LabError(f"{name} has shape {tuple(tensor.shape)}: give {shape}, by this batch and the config.")
    if config.use_vis_order_embedding:
        visual_ids = config.default_obj_order_ids
        n_objects = config.n_vis_ids if visual_ids is None else len(visual_ids)
        _check_order("obj_order_ids", obj_order_ids, (batch, n_boxes), n_objects)
        _check_order("img_order_ids", img_order_ids, (batch, n_boxes), config.n_images)
        if obj_order_ids is None and n_boxes > n_objects:
            raise LabError(f"{n_boxes} boxes are more than the {n_objects} visual ids of the config: give fewer boxes.")


def _check_order(name: str, order: Tensor | None, shape: tuple[int, int], n_ids: int) -> None:
    if order is None:
        return
    if tuple(order.shape) not in {shape, (1, shape[1])}:
        raise LabError(f"{name} has shape {tuple(order.shape)}: give {shape}, by this batch.")
    if order.min() < 0 or order.max() >= n_ids:
        raise LabError(f"{name} goes from {int(order.min())} to {int(order.max())}: the config has 0 to {n_ids - 1}.")

"""What VL-T5 and VL-BART share: text first, boxes after it, in one encoder and under one mask."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.multimodal.visual_embedding import VisualEmbedding, check_boxes

RECORDED = ("output_hidden_states", "output_attentions")
"""What the encoder is asked to return beside its last state; the other options are the decoder's."""


class JointInputs:
    """Before a T5 or BART of transformers among the bases: its encoder reads text and boxes, its decoder sees both."""

    config: Any
    encoder: Any

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        vis_feats: Tensor | None = None,
        vis_pos: Tensor | None = None,
        vis_attention_mask: Tensor | None = None,
        img_order_ids: Tensor | None = None,
        obj_order_ids: Tensor | None = None,
        encoder_outputs: Any = None,
        **kwargs: Any,
    ) -> Any:
        """As in transformers' class, and with boxes.

        input_ids, attention_mask:    [batch text]; without a mask, padding is where the pad id is
        vis_feats:                    [batch box feat_dim]; without, the model reads text alone
        vis_pos:                      [batch box 4]: x1, x2, y1, y2 in [0, 1]
        vis_attention_mask:           [batch box]; without, every box counts
        img_order_ids, obj_order_ids: [batch box]; see `VisualEmbedding`
        """
        attention_mask = text_mask(input_ids, attention_mask, self.config.pad_token_id)
        if encoder_outputs is None:
            recorded = {key: kwargs[key] for key in RECORDED if key in kwargs}
            boxes = (vis_feats, vis_pos, vis_attention_mask, img_order_ids, obj_order_ids)
            encoder_outputs = self.encoder(input_ids, attention_mask, *boxes, **recorded)
        mask = joint_mask(attention_mask, vis_attention_mask, encoder_outputs[0].shape[1])
        return super().forward(  # type: ignore[misc]
            input_ids=input_ids, attention_mask=mask, encoder_outputs=encoder_outputs, **kwargs
        )


def text_mask(
    input_ids: Tensor | None, attention_mask: Tensor | None, pad_token_id: int | None
) -> Bool[Tensor, "batch text"]:
    """Which positions of the text are no padding; without a mask, those where the pad id is not."""
    if attention_mask is None:
        if input_ids is None or pad_token_id is None:
            raise LabError("no attention_mask, and no input_ids and pad id to tell padding by: give attention_mask.")
        return input_ids != pad_token_id
    if input_ids is not None and attention_mask.shape != input_ids.shape:
        shapes = f"{tuple(attention_mask.shape)}: give {tuple(input_ids.shape)}, as input_ids"
        raise LabError(f"attention_mask has shape {shapes}; boxes have their own, vis_attention_mask.")
    return attention_mask.bool()


def joint_mask(
    text: Bool[Tensor, "batch text"], vis_attention_mask: Tensor | None, length: int
) -> Bool[Tensor, "batch length"]:
    """The mask of text and boxes, `length` positions in all; without one for the boxes, every box counts."""
    n_boxes = length - text.shape[1]
    if n_boxes < 0 or (vis_attention_mask is not None and vis_attention_mask.shape[1] != n_boxes):
        raise LabError(f"attention_mask and vis_attention_mask do not make up the encoder's {length} positions.")
    boxes = text.new_ones(len(text), n_boxes) if vis_attention_mask is None else vis_attention_mask.bool()
    return torch.cat([text, boxes], dim=1)


def embed_boxes(
    embedding: VisualEmbedding,
    text: Float[Tensor, "batch text d_model"],
    vis_feats: Tensor | None,
    vis_pos: Tensor | None,
    vis_attention_mask: Tensor | None,
    img_order_ids: Tensor | None,
    obj_order_ids: Tensor | None,
) -> Float[Tensor, "batch box d_model"]:
    """The boxes that follow a text; without `vis_feats` there are none."""
    others = (vis_pos, vis_attention_mask, img_order_ids, obj_order_ids)
    if vis_feats is not None:
        check_boxes(embedding.config, len(text), vis_feats, *others)
        return embedding(vis_feats, vis_pos, img_order_ids, obj_order_ids)
    if any(given is not None for given in others):
        raise LabError("boxes came without vis_feats: give the feature of each box, or nothing about boxes.")
    return text[:, :0]

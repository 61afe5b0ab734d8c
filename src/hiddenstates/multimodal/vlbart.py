"""VL-BART (Cho et al. 2021): BART whose encoder reads text and boxes."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from transformers import BartForConditionalGeneration, BartModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.bart.modeling_bart import BartEncoder
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from hiddenstates.multimodal.configuration import VLBartConfig
from hiddenstates.multimodal.joint import JointInputs, embed_boxes, joint_mask, text_mask
from hiddenstates.multimodal.visual_embedding import VisualEmbedding


class VLBartEncoder(BartEncoder):
    """BART's encoder over text and, after it, boxes: positions are the text's alone, a box has its place."""

    config: VLBartConfig

    def __init__(self, config: VLBartConfig) -> None:
        super().__init__(config)
        self.visual_embedding = VisualEmbedding(config, lambda: nn.LayerNorm(config.d_model))
        self.post_init()  # type: ignore[no-untyped-call]

    @merge_with_config_defaults  # type: ignore[untyped-decorator]
    @capture_outputs  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        vis_feats: Tensor | None = None,
        vis_pos: Tensor | None = None,
        vis_attention_mask: Tensor | None = None,
        img_order_ids: Tensor | None = None,
        obj_order_ids: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """Inputs as in `JointInputs.forward`. Hidden states are [batch, text + box, d_model].

        Index 0 is the embeddings, i the output of layer i - 1.
        """
        text = self.embed_tokens(input_ids) + self.embed_positions(input_ids)  # batch text d_model
        boxes = embed_boxes(
            self.visual_embedding, text, vis_feats, vis_pos, vis_attention_mask, img_order_ids, obj_order_ids
        )
        states = self._join(text, boxes)  # batch text+box d_model
        words = text_mask(input_ids, attention_mask, self.config.pad_token_id)
        positions = joint_mask(words, vis_attention_mask, states.shape[1])
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=states, attention_mask=positions)
        for layer in self.layers:
            if not self.training or torch.rand(()) >= self.config.encoder_layerdrop:
                states = layer(states, mask, **kwargs)
        return BaseModelOutput(last_hidden_state=states)

    def _join(self, text: Tensor, boxes: Tensor) -> Tensor:
        if self.config.share_vis_lang_layer_norm:
            states = self.layernorm_embedding(torch.cat([text, boxes], dim=1))
        else:
            states = torch.cat([self.layernorm_embedding(text), boxes], dim=1)
        return dropout(states, self.config.dropout, self.training)


class VLBartModel(JointInputs, BartModel):
    """VL-BART without a language model head."""

    config_class = VLBartConfig
    # it belongs to the head, and is in the files of the model with a head
    _keys_to_ignore_on_load_unexpected = ["final_logits_bias"]  # noqa: RUF012

    def __init__(self, config: VLBartConfig) -> None:
        super().__init__(config)
        self.encoder = VLBartEncoder(config)
        if config.use_vis_order_embedding:  # else there is no such embedding, and transformers cannot tie it
            order = "encoder.visual_embedding.obj_order_embedding.weight"
            self._tied_weights_keys = {**self._tied_weights_keys, order: "shared.weight"}
        self.post_init()  # type: ignore[no-untyped-call]


class VLBartForConditionalGeneration(BartForConditionalGeneration):
    """VL-BART that writes text; its `forward` passes what it is given about boxes on to `VLBartModel`."""

    config_class = VLBartConfig

    def __init__(self, config: VLBartConfig) -> None:
        super().__init__(config)
        self.model = VLBartModel(config)
        self.post_init()  # type: ignore[no-untyped-call]

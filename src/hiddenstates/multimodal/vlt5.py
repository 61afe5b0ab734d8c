"""VL-T5 (Cho et al. 2021): T5 whose encoder reads text and boxes."""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import T5ForConditionalGeneration, T5Model
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.t5.modeling_t5 import T5LayerNorm, T5Stack
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from hiddenstates.multimodal.configuration import VLT5Config
from hiddenstates.multimodal.joint import JointInputs, embed_boxes, joint_mask, text_mask
from hiddenstates.multimodal.visual_embedding import VisualEmbedding


class VLT5Encoder(T5Stack):
    """T5's encoder over text and, after it, boxes."""

    config: VLT5Config

    def __init__(self, config: VLT5Config) -> None:
        super().__init__(config)
        self.visual_embedding = VisualEmbedding(config, lambda: T5LayerNorm(config.d_model, config.layer_norm_epsilon))
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def is_custom_code(cls) -> bool:
        """Of a class that is not its own, transformers takes an attention, which has weights in its parts only, for one
        that has its first weights, leaves out T5's rule for them, and gives them a spread of 1."""
        return False

    def _init_weights(self, module: nn.Module) -> None:
        """By T5's rule: a linear layer's weights spread by the inverse root of its inputs."""
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.config.initializer_factor * module.in_features**-0.5)

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

        Index 0 is the embeddings, i the output of block i - 1, and the last has gone through `final_layer_norm`.
        """
        text = self.embed_tokens(input_ids)  # batch text d_model
        boxes = embed_boxes(
            self.visual_embedding, text, vis_feats, vis_pos, vis_attention_mask, img_order_ids, obj_order_ids
        )
        states = self.dropout(torch.cat([text, boxes], dim=1))  # batch text+box d_model
        words = text_mask(input_ids, attention_mask, self.config.pad_token_id)
        positions = joint_mask(words, vis_attention_mask, states.shape[1])
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=states, attention_mask=positions)
        bias = self.position_bias(text.shape[1], boxes.shape[1])
        for block in self.block:
            states, *_ = block(states, mask, bias, **kwargs)
        return BaseModelOutput(last_hidden_state=self.dropout(self.final_layer_norm(states)))

    def position_bias(self, n_text: int, n_boxes: int) -> Float[Tensor, "1 head position position"]:
        """T5's relative position bias from text to text; zero from text to box, box to text and box to box."""
        attention: Any = self.get_submodule("block.0.layer.0.SelfAttention")
        bias = attention.compute_bias(n_text, n_text)  # 1 head text text
        return pad(bias, (0, n_boxes, 0, n_boxes))


class VLT5Model(JointInputs, T5Model):
    """VL-T5 without a language model head."""

    config_class = VLT5Config

    def __init__(self, config: VLT5Config) -> None:
        super().__init__(config)
        _read_boxes(self)


class VLT5ForConditionalGeneration(JointInputs, T5ForConditionalGeneration):
    """VL-T5 that writes text: the head is the text table too."""

    config_class = VLT5Config

    def __init__(self, config: VLT5Config) -> None:
        super().__init__(config)
        _read_boxes(self)


def _read_boxes(model: VLT5Model | VLT5ForConditionalGeneration) -> None:
    """Give T5 the joint encoder in place of its own; the text table is its words and its order of objects."""
    config = copy.deepcopy(model.config)
    config.is_decoder = config.use_cache = False
    model.encoder = VLT5Encoder(config)
    if config.use_vis_order_embedding:  # else there is no such embedding, and transformers cannot tie what is not there
        order = "encoder.visual_embedding.obj_order_embedding.weight"
        model._tied_weights_keys = {**model._tied_weights_keys, order: "shared.weight"}
    model.post_init()  # type: ignore[no-untyped-call]

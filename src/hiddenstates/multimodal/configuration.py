"""Configurations of VL-T5 and VL-BART (Cho et al. 2021): a T5 or BART configuration and what boxes need.

Without arguments they are the released base models. Keys carry the names of the authors' code
(github.com/j-min/VL-T5, src/trainer_base.py), but `n_vis_ids`, which that code leaves unsaid.
"""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import BartConfig, T5Config

from hiddenstates.core.errors import LabError


@strict
class VLT5Config(T5Config):
    """T5 that reads text and boxes; the text table holds 32000 words, 100 extra ids and 100 visual ids.

    feat_dim:                   width of a box's feature
    pos_dim:                    numbers that place a box: x1, x2, y1, y2
    n_images:                   images that one input may show
    n_vis_ids:                  rows of the text table that stand for the order of objects: at most so many boxes
    use_vis_layer_norm:         normalize what a box is made of
    individual_vis_layer_norm:  feature and place each by itself (VL-T5 as released), or their sum (VL-BART as released)
    use_vis_order_embedding:    add the embeddings of the image's and the object's order
    default_obj_order_ids:      row of object k in the text table; None counts from the table's end: row N - 1 - k

    Counted from the end, visual ids are whatever rows come last: grow the table before training, or name the rows.
    """

    model_type = "vlt5"

    vocab_size: int = 32200
    d_model: int = 768
    d_ff: int = 3072
    num_layers: int = 12
    num_heads: int = 12
    feat_dim: int = 2048
    pos_dim: int = 4
    n_images: int = 2
    n_vis_ids: int = 100
    use_vis_layer_norm: bool = True
    individual_vis_layer_norm: bool = True
    use_vis_order_embedding: bool = True
    default_obj_order_ids: list[int] | None = None
    decoder_start_token_id: int | None = 0

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        _check(self)


@strict
class VLBartConfig(BartConfig):
    """BART that reads text and boxes; the text table holds 50265 words, 100 extra ids and 100 visual ids.

    Keys as in `VLT5Config`, and one more:

    share_vis_lang_layer_norm:  boxes too go through the encoder's `layernorm_embedding`
    """

    model_type = "vlbart"

    vocab_size: int = 50465
    d_model: int = 768
    dropout: float | int = 0.1
    encoder_layers: int = 6
    encoder_attention_heads: int = 12
    encoder_ffn_dim: int = 3072
    encoder_layerdrop: float = 0.0
    decoder_layers: int = 6
    decoder_attention_heads: int = 12
    decoder_ffn_dim: int = 3072
    feat_dim: int = 2048
    pos_dim: int = 4
    n_images: int = 2
    n_vis_ids: int = 100
    use_vis_layer_norm: bool = True
    individual_vis_layer_norm: bool = False
    use_vis_order_embedding: bool = True
    default_obj_order_ids: list[int] | None = None
    share_vis_lang_layer_norm: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        _check(self)


def _check(config: VLT5Config | VLBartConfig) -> None:
    if not config.tie_word_embeddings:
        raise LabError(f"{config.model_type}: the order of objects is read from the text table, so it must stay tied.")
    if config.pos_dim != 4:
        raise LabError(f"{config.model_type}: pos_dim is {config.pos_dim}, but x1, x2, y1, y2 place a box: give 4.")
    if config.n_vis_ids > config.vocab_size:
        raise LabError(f"{config.model_type}: n_vis_ids {config.n_vis_ids} are more than the table's rows, give fewer.")
    ids = config.default_obj_order_ids
    if ids is not None and not all(0 <= i < config.vocab_size for i in ids):
        raise LabError(
            f"{config.model_type}: default_obj_order_ids go beyond the text table's {config.vocab_size} rows."
        )

"""Small models of every type that transformers knows, with random weights: to see how a type works, in a moment.

They are made from the type's own default configuration, its sizes cut down by the names that they commonly have.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedTokenizerFast, ViTImageProcessorPil

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.forward.families import TOWERS

WIDTH, HEADS, LAYERS, SIDE, PATCH = 32, 4, 3, 32, 8
PLACES = 80
ENTRIES = 120

SIZES: dict[str, int] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embed_dim", "hidden_dim"), WIDTH),
    **dict.fromkeys(("embedding_size", "embed_size", "word_embed_proj_dim", "n_embed", "d_embed"), WIDTH),
    **dict.fromkeys(("decoder_hidden_size", "encoder_hidden_size", "projection_dim", "proj_dim"), WIDTH),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "depth"), LAYERS),
    **dict.fromkeys(
        ("decoder_layers", "num_decoder_layers", "num_encoder_layers", "decoder_num_hidden_layers"), LAYERS
    ),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"), HEADS),
    **dict.fromkeys(("decoder_attention_heads", "decoder_num_attention_heads"), HEADS),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "n_kv_heads"), HEADS // 2),
    **dict.fromkeys(("head_dim", "d_head", "d_kv", "kv_channels"), WIDTH // HEADS),
    **dict.fromkeys(("intermediate_size", "n_inner", "d_ff", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim"), 48),
    **dict.fromkeys(("ffn_hidden_size", "d_inner", "decoder_intermediate_size", "moe_intermediate_size"), 48),
    **dict.fromkeys(("shared_expert_intermediate_size", "mlp_dim"), 48),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "top_k", "moe_topk", "n_group", "topk_group"), 2),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length"), PLACES),
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), ENTRIES),
    **dict.fromkeys(("rotary_dim", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), WIDTH // HEADS),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "o_lora_rank"), WIDTH // 2),
    "image_size": SIDE,
    "patch_size": PATCH,
    "n_mels": 8,
}
"""What a configuration says of its size, and what it says here."""

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def small_config(model_type: str, changes: Mapping[str, Any] | None = None) -> Any:
    """The type's default configuration, cut down; and what it says of parts of it, too.

    changes: by name, of the configuration or (as `text_config.hidden_size`) of a part of it
    """
    config = AutoConfig.for_model(model_type)
    _cut(config)
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 0  # no default, but every published folder has one
    for path, value in (changes or {}).items():
        *parents, name = path.split(".")
        owner = config
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, value)
    return config


def _cut(config: Any) -> None:
    for name, value in list(vars(config).items()):
        if isinstance(value, PreTrainedConfig):
            _cut(value)
        elif isinstance(value, bool) or value is None:
            continue
        elif name in SIZES and isinstance(value, int):
            setattr(config, name, min(value, SIZES[name]))
        elif name in ("layer_types", "mlp_layer_types") and isinstance(value, list):
            setattr(config, name, (sorted(set(value)) * LAYERS)[:LAYERS])
        elif name.endswith("_token_id") and isinstance(value, int) and value >= ENTRIES:
            setattr(config, name, {"pad": 0, "eos": 3, "sep": 3}.get(name.split("_")[0], 2))
    if isinstance(getattr(config, "image_size", None), list | tuple):
        config.image_size = [SIDE, SIDE]
    if hasattr(config, "stage_names") and getattr(config, "num_hidden_layers", 0) == LAYERS:
        config.stage_names = ["stem", *(f"stage{i + 1}" for i in range(LAYERS))]
        config._out_features, config._out_indices = config.stage_names[-1:], [LAYERS]


def small_model(model_type: str, changes: Mapping[str, Any] | None = None, seed: int = 0) -> Any:
    """A model of this type with random weights, in evaluation mode.

    LabError where its type is too large even so. Raises what transformers raises where the sizes do not fit.
    """
    config = small_config(model_type, changes)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in AutoModel.from_config(config).parameters())
    if parameters > 20_000_000:
        raise LabError(f"model type {model_type}: {parameters / 1e6:.0f} million parameters, though cut down.")
    torch.manual_seed(seed)
    return AutoModel.from_config(config).eval()


def save_small(folder: Path, model_type: str, changes: Mapping[str, Any] | None = None, seed: int = 0) -> Path:
    """A small model with what reads texts and images for it, as `save_pretrained` leaves them."""
    model = small_model(model_type, changes, seed)
    model.save_pretrained(folder)
    small_tokenizer(min(_entries(model), ENTRIES)).save_pretrained(folder)
    side = getattr(model.config, "image_size", None) or getattr(
        getattr(model.config, "vision_config", None), "image_size", SIDE
    )
    height, width = side if isinstance(side, list | tuple) else (side, side)
    ViTImageProcessorPil(size={"height": height, "width": width}).save_pretrained(folder)
    return folder


def small_tokenizer(entries: int = ENTRIES) -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer of single letters, so many entries at most: [CLS] stands before a text, [SEP] after it."""
    letters = [chr(code) for code in range(ord("!"), ord("~")) if not chr(code).isupper()]
    pieces = [*letters[: (entries - len(SPECIAL)) // 2], *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: i for i, piece in enumerate([*SPECIAL, *pieces][:entries])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    named = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def _entries(model: Any) -> int:
    """Rows of the model's table of embeddings, of the text's where it has several."""
    parts = [model, *(getattr(model, name, None) for names in TOWERS.values() for name in names)]
    rows = [_rows(part) for part in parts if part is not None]
    return min([n for n in rows if n], default=ENTRIES)


def _rows(model: Any) -> int:
    try:
        return int(getattr(model.get_input_embeddings(), "num_embeddings", 0))
    except (AttributeError, NotImplementedError):  # of one without a table
        return 0

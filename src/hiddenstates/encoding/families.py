"""Families of encoders, as data: what made each hidden state, what runs, and what it reads.

A new family is one entry in `FAMILIES`; no other line changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hiddenstates.core.errors import LabError


@dataclass(frozen=True)
class State:
    """Where one hidden state comes from.

    module: path of the module whose output it is, from the whole model; two where text and boxes come from two
    norm:   the last layer norm that it went through, by path; "" where it went through none
    """

    module: str
    norm: str = ""

    def at(self, root: str, i: int = 0) -> "State":
        """The same with `{i}` filled in and paths that count from the module above `root`."""
        paths = (path.format(i=i) for path in (self.module, self.norm))
        return State(*(", ".join(f"{root}.{p}" for p in path.split(", ")) if root and path else path for path in paths))


StateMap = Sequence[State]
"""index -> what made that hidden state; index 0 is the embeddings."""

Reads = Literal["text", "text, shifted", "image", "text and boxes"]
"""Names a reader, readers.py."""


@dataclass(frozen=True)
class Family:
    """Models, or parts of models, whose hidden states come from the same places. Paths count from the part that runs.

    members:    model type (`config.model_type`) -> path of the module that runs, "" for the whole that AutoModel gives
    embeddings: what makes hidden state 0
    layer:      what makes hidden state i, with `{i}` for i - 1
    last:       what makes the last hidden state, where that is not the last layer
    part:       which part of the model this is, where it has several
    reads:      what its inputs are
    output:     the field of the model's output that holds the hidden states
    eos_token:  the tokenizer's attribute that names the token which ends a text; "" for images
    positions:  path of the table of positions, which bounds the length of an input; "" where there is no such bound
    unseen:     prefixes of weights that no hidden state sees; a folder may lack them
    """

    members: Mapping[str, str]
    embeddings: State
    layer: State
    last: State | None = None
    part: str = ""
    reads: Reads = "text"
    output: str = "hidden_states"
    eos_token: str = "eos_token"
    positions: str = ""
    unseen: tuple[str, ...] = ()

    @property
    def layers(self) -> str:
        """Path of the list of layers."""
        return self.layer.module.removesuffix(".{i}")

    def states(self, n_layers: int, root: str = "") -> StateMap:
        """One entry a hidden state, `n_layers` + 1 of them; `root` is the path of the part that runs."""
        made = [self.embeddings.at(root), *(self.layer.at(root, i) for i in range(n_layers))]
        return (*made[:-1], self.last.at(root)) if self.last else tuple(made)


FAMILIES = {
    # Post-norm encoders (Devlin et al. 2019): the residual sum goes through a layer norm at the end of each layer.
    "bert": Family(
        members=dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert"), ""),
        embeddings=State("embeddings", "embeddings.LayerNorm"),
        layer=State("encoder.layer.{i}", "encoder.layer.{i}.output.LayerNorm"),
        eos_token="sep_token",
        positions="embeddings.position_embeddings",
        unseen=("pooler.",),
    ),
    "distilbert": Family(
        members={"distilbert": ""},
        embeddings=State("embeddings", "embeddings.LayerNorm"),
        layer=State("transformer.layer.{i}", "transformer.layer.{i}.output_layer_norm"),
        eos_token="sep_token",
        positions="embeddings.position_embeddings",
    ),
    "mpnet": Family(
        members={"mpnet": ""},
        embeddings=State("embeddings", "embeddings.LayerNorm"),
        layer=State("encoder.layer.{i}", "encoder.layer.{i}.output.LayerNorm"),
        eos_token="sep_token",
        positions="embeddings.position_embeddings",
        unseen=("pooler.",),
    ),
    # Pre-norm (Raffel et al. 2020): a block's output is the bare residual sum. The last one is shown only after the
    # final norm. Relative positions: no table, no longest text.
    "t5 encoder": Family(
        members={"t5": "encoder", "mt5": "encoder"},
        part="encoder",
        embeddings=State("embed_tokens"),
        layer=State("block.{i}"),
        last=State("final_layer_norm", "final_layer_norm"),
        unseen=("decoder.",),
    ),
    # Post-norm, and a norm over the sum of token and position, too (Lewis et al. 2020).
    "bart encoder": Family(
        members={"bart": "encoder"},
        part="encoder",
        embeddings=State("layernorm_embedding", "layernorm_embedding"),
        layer=State("layers.{i}", "layers.{i}.final_layer_norm"),
        positions="embed_positions",
        unseen=("decoder.",),
    ),
    # T5 and BART over text and boxes (Cho et al. 2021), the boxes after the text.
    "vl-t5": Family(
        members={"vlt5": "encoder"},
        part="encoder",
        reads="text and boxes",
        embeddings=State("embed_tokens, visual_embedding"),
        layer=State("block.{i}"),
        last=State("final_layer_norm", "final_layer_norm"),
        unseen=("decoder.",),
    ),
    "vl-bart": Family(
        members={"vlbart": "encoder"},
        part="encoder",
        reads="text and boxes",
        embeddings=State("layernorm_embedding, visual_embedding", "layernorm_embedding, visual_embedding.layer_norm"),
        layer=State("layers.{i}", "layers.{i}.final_layer_norm"),
        positions="embed_positions",
        unseen=("decoder.",),
    ),
    # Decoders read the text itself, shifted by one, and see what the encoder made of it; VL-T5's and VL-BART's, too.
    "t5 decoder": Family(
        members={"t5": "", "mt5": "", "vlt5": ""},
        part="decoder",
        reads="text, shifted",
        output="decoder_hidden_states",
        embeddings=State("decoder.embed_tokens"),
        layer=State("decoder.block.{i}"),
        last=State("decoder.final_layer_norm", "decoder.final_layer_norm"),
    ),
    "bart decoder": Family(
        members={"bart": "", "vlbart": ""},
        part="decoder",
        reads="text, shifted",
        output="decoder_hidden_states",
        embeddings=State("decoder.layernorm_embedding", "decoder.layernorm_embedding"),
        layer=State("decoder.layers.{i}", "decoder.layers.{i}.final_layer_norm"),
        positions="decoder.embed_positions",
    ),
    # Pre-norm in both towers (Radford et al. 2021). The text's last state is shown before the final norm, and the
    # image's post-norm sees its pooled token only.
    "clip text": Family(
        members={"clip": "text_model", "clip_text_model": ""},
        part="text",
        embeddings=State("embeddings"),
        layer=State("encoder.layers.{i}"),
        positions="embeddings.position_embedding",
        unseen=("vision_model.", "text_projection.", "visual_projection.", "logit_scale"),
    ),
    "clip vision": Family(
        members={"clip": "vision_model", "clip_vision_model": ""},
        part="vision",
        reads="image",
        embeddings=State("pre_layrnorm", "pre_layrnorm"),
        layer=State("encoder.layers.{i}"),
        eos_token="",
        positions="embeddings.position_embedding",
        unseen=("text_model.", "text_projection.", "visual_projection.", "logit_scale"),
    ),
}


def family_of(model_type: str, part: str | None = None) -> Family:
    """The family of a transformers model by its `config.model_type`; of one with several parts, None is the first."""
    parts = {family.part: family for family in FAMILIES.values() if model_type in family.members}
    if not parts:
        known = ", ".join(dict.fromkeys(t for family in FAMILIES.values() for t in family.members))
        raise LabError(
            f"model type {model_type!r} is in no family. Known: {known}; a new one is one entry in families.py."
        )
    if part is not None and part not in parts:
        choices = " or ".join(repr(name) for name in parts if name)
        way = f"Choose {choices}." if choices else "It is not in parts: leave it out."
        raise LabError(f"a model of type {model_type!r} has no part {part!r}. {way}")
    return next(iter(parts.values())) if part is None else parts[part]


def overview() -> list[dict[str, str]]:
    """One row a family: its members, its part, what it reads, and what makes its hidden states."""
    rows = []
    for name, family in FAMILIES.items():
        last = family.last or family.layer
        row = {"family": name, "model types": ", ".join(family.members), "part": family.part, "reads": family.reads}
        for when, state in {"state 0": family.embeddings, "state i": family.layer, "last state": last}.items():
            row |= {when: state.module, f"{when}: after norm": state.norm or "none"}
        rows.append(row)
    return rows

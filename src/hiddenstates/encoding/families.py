"""Families of encoders, as data: what made each hidden state, and what their inputs look like.

A new family is one entry in `FAMILIES`; no other line changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hiddenstates.core.errors import LabError


@dataclass(frozen=True)
class State:
    """Where one hidden state comes from.

    module: path of the module whose output it is, from the model's root
    norm:   the last layer norm that it went through, by path; "" where it went through none
    """

    module: str
    norm: str


StateMap = Sequence[State]
"""index -> what made that hidden state; index 0 is the embeddings."""


@dataclass(frozen=True)
class Family:
    """Models whose hidden states come from the same places.

    model_types: `config.model_type` of its members
    embeddings:  what makes hidden state 0
    layer:       what makes hidden state i, with `{i}` for i - 1
    eos_token:   the tokenizer's attribute that names the token which ends a text
    """

    model_types: tuple[str, ...]
    embeddings: State
    layer: State
    eos_token: str

    def state_map(self, n_layers: int) -> StateMap:
        """One entry a hidden state: `n_layers` + 1 of them."""
        made = [State(self.layer.module.format(i=i), self.layer.norm.format(i=i)) for i in range(n_layers)]
        return (self.embeddings, *made)


FAMILIES = {
    # Post-norm encoders (Devlin et al. 2019): the residual sum goes through a layer norm at the end of each layer.
    "bert": Family(
        model_types=("bert", "roberta", "xlm-roberta", "camembert"),
        embeddings=State("embeddings", "embeddings.LayerNorm"),
        layer=State("encoder.layer.{i}", "encoder.layer.{i}.output.LayerNorm"),
        eos_token="sep_token",
    ),
    "distilbert": Family(
        model_types=("distilbert",),
        embeddings=State("embeddings", "embeddings.LayerNorm"),
        layer=State("transformer.layer.{i}", "transformer.layer.{i}.output_layer_norm"),
        eos_token="sep_token",
    ),
    "mpnet": Family(
        model_types=("mpnet",),
        embeddings=State("embeddings", "embeddings.LayerNorm"),
        layer=State("encoder.layer.{i}", "encoder.layer.{i}.output.LayerNorm"),
        eos_token="sep_token",
    ),
}


def family_of(model_type: str) -> Family:
    """The family of a transformers model, by its `config.model_type`."""
    for family in FAMILIES.values():
        if model_type in family.model_types:
            return family
    known = ", ".join(t for family in FAMILIES.values() for t in family.model_types)
    raise LabError(f"model type {model_type!r} is in no family. Known: {known}; a new one is one entry in families.py.")

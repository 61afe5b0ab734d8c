"""`Encoder`: texts in, hidden states or embeddings out. One class; families differ by data (families.py)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor
from tqdm.auto import tqdm

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.batching import TOKEN_BUDGET, length_batches
from hiddenstates.encoding.families import StateMap, family_of
from hiddenstates.encoding.linear import pack
from hiddenstates.encoding.models import fingerprint, load_parts, model_folder
from hiddenstates.encoding.pooled import Embeddings, PooledStates
from hiddenstates.encoding.pooling import HiddenStates, get_pooling
from hiddenstates.encoding.states import TaskStates


@dataclass(frozen=True)
class Encoder:
    """A frozen model and its tokenizer. Made by `load_encoder`.

    eos_id:      the token that ends a text, for the pooling `eos`
    max_tokens:  a longer text is cut there
    fingerprint: changes when any of the model's files does
    """

    name: str
    model: Any
    tokenizer: Any
    state_map: StateMap
    eos_id: int
    max_tokens: int
    fingerprint: str

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included, cut to `max_tokens`."""
        ids: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        return ids

    def states(self, texts: Sequence[str]) -> HiddenStates:
        """All hidden states of a few texts, padded into one batch. For many, `pool` never holds them all."""
        tokens = self.tokenize(texts)
        width = max(map(len, tokens), default=0)
        padded = [row + [self.tokenizer.pad_token_id] * (width - len(row)) for row in tokens]
        mask = [[True] * len(row) + [False] * (width - len(row)) for row in tokens]
        return self._forward(torch.tensor(padded), torch.tensor(mask))

    def pool(self, ids: Sequence[str], texts: Sequence[str], poolings: Sequence[str]) -> PooledStates:
        """Every hidden state of every text under each pooling, from one forward pass over the distinct texts."""
        distinct = list(dict.fromkeys(texts))
        if len(distinct) < len(texts):
            return replace(self.pool(distinct, distinct, poolings).select(texts), ids=list(ids))
        functions = {name: get_pooling(name) for name in poolings}
        shape = (len(self.state_map), len(texts), self.model.config.hidden_size)
        values = {name: np.empty(shape, dtype=np.float32) for name in poolings}
        for rows, states in self._stream(texts):
            for name, function in functions.items():
                values[name][:, rows] = _numpy(function(states))
        return PooledStates(list(ids), values, self.state_map, self.fingerprint)

    def encode(self, texts: Sequence[str], strategy: Strategy, ids: Sequence[str] | None = None) -> Embeddings:
        """The embedding that the strategy makes of each text."""
        names = [str(i) for i in range(len(texts))] if ids is None else ids
        return self.pool(names, texts, [strategy.pool]).embed(strategy)

    def _stream(self, texts: Sequence[str]) -> Iterator[tuple[list[int], HiddenStates]]:
        tokens = self.tokenize(texts)
        lengths = [len(row) for row in tokens]
        with tqdm(total=sum(lengths), unit="token", unit_scale=True, desc="encode", leave=False) as bar:
            for rows in length_batches(lengths, TOKEN_BUDGET):
                batch = torch.tensor([tokens[i] for i in rows])
                yield rows, self._forward(batch, torch.ones_like(batch, dtype=torch.bool))
                bar.update(batch.numel())

    @torch.inference_mode()
    def _forward(self, ids: Int[Tensor, "batch position"], mask: Tensor) -> HiddenStates:
        out = self.model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True)
        eos = (ids == self.eos_id).int().argmax(-1)  # the first one, should a text hold several
        return HiddenStates(torch.stack(out.hidden_states), mask, eos, self.state_map)


def load_encoder(
    name: str, revision: str | None = None, max_tokens: int = 256, dtype: Literal["float32", "bfloat16"] = "float32"
) -> Encoder:
    """An encoder by bundled name, local folder, or hub name with a pinned revision; `dtype` of its linear layers.

    Raises LabError when the model is missing, not what was published, of an unknown family, or has no vocabulary.
    """
    folder = model_folder(name, revision)
    config, model, tokenizer = load_parts(folder)
    family = family_of(config.model_type)
    eos_id = getattr(tokenizer, f"{family.eos_token}_id")
    if eos_id is None or tokenizer.pad_token_id is None:
        raise LabError(
            f"model {name}: its tokenizer has no {family.eos_token} or no pad_token. Set it and save it again."
        )
    longest = min(max_tokens, _positions(model))
    state_map = family.state_map(config.num_hidden_layers)
    packed = pack(model, getattr(torch, dtype))
    return Encoder(name, packed, tokenizer, state_map, eos_id, longest, fingerprint(folder))


def pool_task(encoder: Encoder, task: Task, poolings: Sequence[str]) -> TaskStates:
    """One forward pass over every passage and every query."""
    passages = encoder.pool(task.kb.ids, task.kb.texts(), poolings)
    return TaskStates(passages, encoder.pool(task.queries["id"], task.queries["text"], poolings))


def _positions(model: Any) -> int:
    """How many tokens the model has positions for: RoBERTa and MPNet start counting after the padding's own."""
    table = model.embeddings.position_embeddings
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)


def _numpy(pooled: Tensor) -> Float32[np.ndarray, "layer batch d_model"]:
    array: np.ndarray = pooled.float().numpy()
    return array

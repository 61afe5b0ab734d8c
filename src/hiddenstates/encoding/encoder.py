"""`Encoder`: inputs in, hidden states or embeddings out. One class; families differ by data (families.py)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
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
from hiddenstates.encoding.boxes import with_stored
from hiddenstates.encoding.families import Family, StateMap, family_of
from hiddenstates.encoding.linear import pack
from hiddenstates.encoding.loading import load_reader
from hiddenstates.encoding.models import fingerprint, load_config, load_model, model_folder
from hiddenstates.encoding.pooled import Embeddings, PooledStates
from hiddenstates.encoding.pooling import HiddenStates, get_pooling
from hiddenstates.encoding.readers import Input, Reader, Row, TextReader, check_kinds
from hiddenstates.encoding.states import TaskStates
from hiddenstates.encoding.tokenised import compacted, moved_back

Dtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Encoder:
    """A frozen model, or a part of one, and what reads its inputs. Made by `load_encoder`.

    model:       the module that runs; the paths in `state_map` count from the whole that it is a part of
    fingerprint: changes when any of the model's files does, the part, or the dtype
    """

    name: str
    model: Any
    family: Family
    reader: Reader
    state_map: StateMap
    fingerprint: str

    @property
    def width(self) -> int:
        """d_model of the hidden states."""
        width: int = self.model.config.hidden_size
        return width

    @property
    def text(self) -> TextReader:
        """What reads the texts. LabError for an encoder of images."""
        reader = getattr(self.reader, "text", self.reader)
        if not isinstance(reader, TextReader):
            raise LabError(f"model {self.name}: this part of it reads images and has no tokens. Load another part.")
        return reader

    @property
    def tokenizer(self) -> Any:
        return self.text.tokenizer

    @property
    def max_tokens(self) -> int:
        """A longer text is cut there."""
        return self.text.max_tokens

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included, cut to `max_tokens`."""
        return self.text.tokenize(texts)

    def states(self, inputs: Sequence[Input]) -> HiddenStates:
        """All hidden states of a few inputs, padded into one batch. For many, `pool` never holds them all."""
        if not inputs:
            raise LabError("states: no inputs. Give at least one.")
        check_kinds(inputs, self.reader)
        return self._forward(self.reader.rows(inputs))

    def states_of(self, input_ids: Int[Tensor, "batch position"], attention_mask: Tensor | None = None) -> HiddenStates:
        """All hidden states of texts that are tokens already, whichever side they are padded on, in their places.

        The mask (1 a token, 0 padding) must be given: without it, padding would be read as text. Each row is run with
        its padding on the right, so that learned positions count from its first token.
        """
        rows, starts = compacted(input_ids, attention_mask, self.max_tokens)
        return moved_back(self._forward([Row(row) for row in rows]), starts, input_ids.shape[1])

    def pool(self, ids: Sequence[str], inputs: Sequence[Input], poolings: Sequence[str]) -> PooledStates:
        """Every hidden state of every input under each pooling, from one forward pass over the distinct inputs."""
        functions = {name: get_pooling(name) for name in poolings}
        check_kinds(inputs, self.reader)
        distinct = list(dict.fromkeys(inputs))
        rows = self.reader.rows(distinct)
        shape = (len(self.state_map), len(rows), self.width)
        values = {name: np.empty(shape, dtype=np.float32) for name in poolings}
        for chosen, states in self._stream(rows):
            for name, function in functions.items():
                values[name][:, chosen] = _numpy(function(states))
        if len(distinct) < len(inputs):
            place = {value: i for i, value in enumerate(distinct)}
            values = {name: value[:, [place[i] for i in inputs]] for name, value in values.items()}
        return PooledStates(list(ids), values, self.state_map, self.fingerprint)

    def encode(self, inputs: Sequence[Input], strategy: Strategy, ids: Sequence[str] | None = None) -> Embeddings:
        """The embedding that the strategy makes of each input."""
        names = [str(i) for i in range(len(inputs))] if ids is None else ids
        return self.pool(names, inputs, [strategy.pool]).embed(strategy)

    def _stream(self, rows: Sequence[Row]) -> Iterator[tuple[list[int], HiddenStates]]:
        lengths = [len(row) for row in rows]
        with tqdm(total=sum(lengths), unit="token", unit_scale=True, desc="encode", leave=False) as bar:
            for chosen in length_batches(lengths, TOKEN_BUDGET):
                yield chosen, self._forward([rows[i] for i in chosen])
                bar.update(len(chosen) * lengths[chosen[0]])

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Row]) -> HiddenStates:
        batch = self.reader.batch(rows)
        out = self.model(**batch.arguments, output_hidden_states=True)
        return HiddenStates(torch.stack(out[self.family.output]), batch.mask, batch.eos, self.state_map)


def load_encoder(
    model: str,
    revision: str | None = None,
    max_tokens: int = 256,
    dtype: Dtype = "float32",
    part: str | None = None,
) -> Encoder:
    """An encoder by bundled name, local folder, or hub name with a pinned revision.

    dtype: of its linear layers
    part:  "encoder", "decoder", "text" or "vision" of a model that has several; None is its first

    Raises LabError when the model is missing, not what was published, of an unknown family, or has no vocabulary.
    """
    folder = model_folder(model, revision)
    family = family_of(load_config(folder).model_type, part)
    return encoder_of(model, load_model(folder, family.unseen), folder, family.part, max_tokens, dtype)


def encoder_of(name: str, whole: Any, folder: Path, part: str, max_tokens: int, dtype: Dtype = "float32") -> Encoder:
    """A part of a model that was loaded from the folder, as an encoder; the part's linear layers are packed."""
    kind = whole.config.model_type
    family = family_of(kind, part)
    root = family.members[kind]
    model = whole.get_submodule(root)
    state_map = family.states(len(model.get_submodule(family.layers)), root)
    reader = load_reader(family, folder, model, max_tokens)
    packed = pack(model, getattr(torch, dtype))
    return Encoder(name, packed, family, reader, state_map, fingerprint(folder, part, dtype))


def pool_task(encoder: Encoder, task: Task, poolings: Sequence[str]) -> TaskStates:
    """One forward pass over every passage and every query: their texts, their images or both, as the encoder reads.

    An item that has no image, of which an encoder of images reads nothing, is left out; LabError where that is all.
    Boxes of an image are made once, however many items show it.
    """
    root = task.kb.images
    images = [[root / name if name else None for name in rows["image"][:]] for rows in (task.kb.passages, task.queries)]
    encoder = replace(encoder, reader=with_stored(encoder.reader, (path for path in chain(*images) if path)))
    passages = _pool_read(encoder, task.kb.ids, task.kb.texts(), images[0], poolings)
    return TaskStates(
        passages, _pool_read(encoder, task.queries["id"][:], task.queries["text"][:], images[1], poolings)
    )


def _pool_read(
    encoder: Encoder, ids: Sequence[str], texts: Sequence[str], images: Sequence[Path | None], poolings: Sequence[str]
) -> PooledStates:
    inputs = zip(ids, encoder.reader.inputs(texts, images), strict=True)
    read = {name: value for name, value in inputs if value is not None}
    if not read:
        raise LabError(f"model {encoder.name}: it reads images, and no item of the task has one. Choose another part.")
    return encoder.pool(list(read), list(read.values()), poolings)


def _numpy(pooled: Tensor) -> Float32[np.ndarray, "layer batch d_model"]:
    array: np.ndarray = pooled.float().numpy()
    return array

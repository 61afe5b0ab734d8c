"""`Encoder`: inputs in, hidden states or embeddings out. One class for every model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor

from hiddenstates.core.bars import bar
from hiddenstates.core.errors import LabError
from hiddenstates.core.joined import AnyStrategy, parse
from hiddenstates.core.paths import resolved
from hiddenstates.encoding.embeddings.features import own_features, own_pooler
from hiddenstates.encoding.embeddings.pooled import Embeddings, PooledStates
from hiddenstates.encoding.embeddings.pooling import HiddenStates, Pooler, get_pooling
from hiddenstates.encoding.embeddings.tokenised import compacted, moved_back
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.encoding.forward.examining import Seen, examine, sample_run, text_of
from hiddenstates.encoding.forward.exits import states_at
from hiddenstates.encoding.forward.families import Part, StateMap, part_of
from hiddenstates.encoding.forward.linear import pack
from hiddenstates.encoding.forward.possible import cannot, natural_poolings, notes_on
from hiddenstates.encoding.forward.running import hidden_states, run, stacked
from hiddenstates.encoding.inputs.batching import GPU_BUDGET, TOKEN_BUDGET, length_batches
from hiddenstates.encoding.inputs.prompts import PLAIN, Reading, Side, prompted
from hiddenstates.encoding.inputs.readers import Batch, Input, Reader, Row, TextReader, check_kinds
from hiddenstates.encoding.loading import load_reader
from hiddenstates.encoding.models.baseline import MEAN, Baseline
from hiddenstates.encoding.models.files import BUNDLES, fingerprint, load_found, model_folder
from hiddenstates.encoding.models.published import read_published

Dtype = Literal["float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Source:
    """The arguments of `load_encoder`: enough to load the encoder again, in another process."""

    model: str
    revision: str | None
    max_tokens: int | None
    dtype: Dtype
    part: str | None
    device: Device
    query: str | None = None
    passage: str | None = None
    pool_prompt: bool | None = None

    @property
    def settings(self) -> tuple[str, ...]:
        """What changes a text's states, beside the model's files; the prompts only where they are not the folder's."""
        prompts = (self.query, self.passage, self.pool_prompt)
        return (self.dtype,) if prompts == (None, None, None) else (self.dtype, repr(prompts))


@dataclass(frozen=True)
class Encoder:
    """A frozen model, or a part of one, and what reads its inputs. Made by `load_encoder`.

    model:       the module that runs; the paths in the state map count from the whole that it is a part of
    part:        which part that is
    seen:        what was measured of it
    fingerprint: changes when any of the model's files does, the part, or the dtype
    source:      what loads it again; None of a model that was changed since
    asked:       the poolings that whoever loaded it wants; None: those that make sense for it
    baseline:    the published embedding, or a convention
    reading:     how its texts are read: the prompt of each side
    pooler:      what the pooling `own` does; None where the model has none of its own
    """

    name: str
    model: Any
    part: Part
    reader: Reader
    seen: Seen
    fingerprint: str
    source: Source | None = None
    asked: tuple[str, ...] | None = None
    baseline: Baseline = MEAN
    reading: Reading = PLAIN
    pooler: Pooler | None = None

    @property
    def state_map(self) -> StateMap:
        """What made each hidden state."""
        return self.seen.state_map

    @property
    def width(self) -> int:
        """d_model of the hidden states."""
        return self.seen.width

    @property
    def causal(self) -> bool:
        """Whether a token sees only those before it."""
        return bool(self.seen.causal)

    @property
    def poolings(self) -> list[str]:
        """Those that were asked for; else those that make sense for it."""
        return list(self.asked or natural_poolings(self.reader, self.seen))

    @property
    def notes(self) -> list[str]:
        """What is particular about it, a sentence each."""
        return list(notes_on(self.reader, self.seen))

    def check_poolings(self, poolings: Sequence[str]) -> None:
        """LabError for a pooling that is unknown, or that this encoder cannot do."""
        for pooling in poolings:
            get_pooling(pooling)
            lacks = "it pools with no weights of its own" if pooling == "own" and self.pooler is None else ""
            if reason := lacks or cannot(pooling, self.reader, self.seen):
                choices = ", ".join(natural_poolings(self.reader, self.seen))
                raise LabError(f"model {self.name}: no pooling {pooling}: {reason}. Choose among {choices}.")

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def text(self) -> TextReader:
        """What reads the texts. LabError for an encoder of images."""
        reader = text_of(self.reader)
        if not isinstance(reader, TextReader):
            raise LabError(f"model {self.name}: this part of it reads images and has no tokens. Load another part.")
        return reader

    @property
    def reads_text(self) -> bool:
        """Whether it reads texts, with an image or without."""
        return isinstance(text_of(self.reader), TextReader)

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
        return _moved(self._forward(self.reader.rows(inputs)), "cpu")

    def states_of(self, input_ids: Int[Tensor, "batch position"], attention_mask: Tensor | None = None) -> HiddenStates:
        """All hidden states of texts that are tokens already, whichever side they are padded on, in their places.

        The mask (1 a token, 0 padding) must be given: without it, padding would be read as text. Each row is run with
        its padding on the right, so that learned positions count from its first token.
        """
        rows, starts = compacted(input_ids, attention_mask, self.max_tokens)
        states = _moved(self._forward([Row(row) for row in rows]), "cpu")
        return moved_back(states, starts, input_ids.shape[1])

    def pool(
        self,
        ids: Sequence[str],
        inputs: Sequence[Input],
        poolings: Sequence[str],
        side: Side = "passage",
        layers: Sequence[int] | None = None,
    ) -> PooledStates:
        """Every hidden state of every input under each pooling; inputs of the same tokens and image are run once.

        side:   whose prompt stands before each text
        layers: pool these states alone, counted from 0, and run no layer above the highest of them
        """
        self.check_poolings(poolings)
        functions = {name: get_pooling(name) for name in poolings}
        check_kinds(inputs, self.reader)
        prompt = self.reading.prompt(side)
        inputs, skipped = prompted(inputs, prompt), self.skipped(prompt)
        read = self.reader.rows(inputs)
        rows = list({row.key: row for row in read}.values())
        shape = (len(self.state_map) if layers is None else len(layers), len(rows), self.width)
        values = {name: np.empty(shape, dtype=np.float32) for name in poolings}
        for chosen, states in self._stream(rows, layers):
            for name, function in functions.items():
                values[name][:, chosen] = _numpy(function(states.without_start(skipped)))
        if len(rows) < len(inputs):
            place = {row.key: i for i, row in enumerate(rows)}
            values = {name: value[:, [place[row.key] for row in read]] for name, value in values.items()}
        kept = None if layers is None else tuple(layers)
        return PooledStates(list(ids), values, self.state_map, self.fingerprint, self.baseline, kept)

    def encode(
        self,
        inputs: Sequence[Input],
        strategy: AnyStrategy | str | None = None,
        ids: Sequence[str] | None = None,
        side: Side = "passage",
        whitening: Whitenings | None = None,
    ) -> Embeddings:
        """The embedding that the strategy makes of each input; None is the published one, or a convention.

        No layer above the highest that the strategy uses is run.

        strategy:  or its string, such as `concat(0,6)/mean`
        whitening: for one that whitens
        """
        names = [str(i) for i in range(len(inputs))] if ids is None else ids
        wanted: AnyStrategy = parse(strategy) if isinstance(strategy, str) else strategy or self.baseline.strategy
        layers = sorted(set(wanted.resolve(len(self.state_map)).layers))
        return self.pool(names, inputs, wanted.pools, side, layers).embed(wanted, whitening)

    def skipped(self, prompt: str) -> int:
        """How many tokens at the start of a text are not pooled: the prompt's, if that is how the model is read."""
        if self.reading.pool_prompt or not prompt:
            return 0
        (tokens,) = self.tokenize([prompt])
        return len(tokens) - (tokens[-1] in self.tokenizer.all_special_ids)

    def _stream(self, rows: Sequence[Row], layers: Sequence[int] | None) -> Iterator[tuple[list[int], HiddenStates]]:
        lengths = [len(row) for row in rows]
        alone = len(rows) == 1  # a bar in a notebook takes about as long as one input
        with bar(what="encode", total=sum(lengths), unit="tokens", disable=alone) as done:
            for chosen in self._batches(lengths):
                yield chosen, self._forward([rows[i] for i in chosen], layers)
                done.update(sum(lengths[i] for i in chosen))

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """A GPU wants more at once than a CPU: rows of other lengths too, where padding does not show."""
        if self.device.type == "cpu":
            return length_batches(lengths, TOKEN_BUDGET)
        return length_batches(lengths, GPU_BUDGET, mixed=self.seen.pads)

    def _forward(self, rows: Sequence[Row], layers: Sequence[int] | None = None) -> HiddenStates:
        """The states of a batch; where padding shows, of its rows length by length. layers: these alone, or all"""
        lengths = [len(row) for row in rows]
        if self.seen.pads or len(set(lengths)) == 1:
            return self._run(rows, layers)
        n_states = len(self.state_map) if layers is None else len(layers)
        values = torch.zeros(n_states, len(rows), max(lengths), self.width, device=self.device)
        for length in set(lengths):
            chosen = [i for i, row in enumerate(rows) if len(row) == length]
            values[:, chosen, :length] = self._run([rows[i] for i in chosen], layers).values
        batch = self.reader.batch(rows)
        return self._of_batch(values, batch)

    @torch.inference_mode()
    def _run(self, rows: Sequence[Row], layers: Sequence[int] | None) -> HiddenStates:
        batch = self.reader.batch(rows)
        arguments = {k: v.to(self.device) if isinstance(v, Tensor) else v for k, v in batch.arguments.items()}
        return self._of_batch(self._states(arguments, layers), batch)

    def _states(self, arguments: dict[str, Any], layers: Sequence[int] | None) -> Tensor:
        """[layer, batch, position, d_model] of a batch: all states, or these alone."""
        exits = [self.seen.exits[layer] for layer in layers] if layers and self.seen.exits else []
        known = [exit for exit in exits if exit is not None]
        if known and len(known) == len(exits):
            return stacked(states_at(self.model, known, lambda: run(self.model, arguments)))
        values = stacked(hidden_states(self.model, arguments, self.part.output))
        if len(values) != len(self.state_map):
            raise LabError(
                f"model {self.name}: {len(values)} hidden states, where it had {len(self.state_map)} when it was "
                "loaded. Choose another model: its states cannot be told apart by number."
            )
        return values if layers is None else values[list(layers)]

    def _of_batch(self, values: Tensor, batch: Batch) -> HiddenStates:
        states = HiddenStates(values, batch.mask, batch.eos, self.state_map, pooler=self.pooler)
        return _moved(states, values.device)


def load_encoder(
    model: str,
    revision: str | None = None,
    max_tokens: int | None = None,
    dtype: Dtype = "float32",
    part: str | None = None,
    device: Device = "cpu",
    poolings: Sequence[str] | None = None,
    query: str | None = None,
    passage: str | None = None,
    pool_prompt: bool | None = None,
) -> Encoder:
    """An encoder by bundled name, local folder, or hub name with a pinned revision.

    max_tokens:     a longer text is cut there; None is what the folder says
    dtype:          of its linear layers
    part:           "encoder", "decoder", "text" or "vision" of a model that has several; None is its first
    device:         "auto" is the GPU where torch sees one
    poolings:       that are wanted of it; None is those that make sense for it
    query, passage: the prompt before each text of that side; None is the folder's own, "" is none
    pool_prompt:    whether the prompt's tokens are pooled, too; None is what the folder says

    Raises LabError when the model is missing, not what was published, has no vocabulary, or cannot be used: what is
    refused, `examining` says.
    """
    folder = model_folder(model, revision)
    source = Source(model, revision, max_tokens, dtype, part, device, query, passage, pool_prompt)
    encoder = encoder_of(source, *load_found(folder), folder)
    encoder.check_poolings(poolings or ())
    return replace(encoder, asked=tuple(poolings)) if poolings else encoder


def encoder_of(source: Source, whole: Any, missing: Sequence[str], folder: Path) -> Encoder:
    """The source's part of a model that was loaded from the folder, as an encoder; its linear layers are packed.

    missing: names of weights that the folder lacks; LabError if any hidden state depends on one
    """
    device, part = _device(source.device), part_of(whole, source.part)
    model = whole.get_submodule(part.path)
    if not hasattr(model, "config"):  # some halves (FSMT's) leave it to the whole
        model.config = whole.config
    reader = load_reader(part, folder, model, source.max_tokens)
    seen, reader = examine(folder, whole, part, reader, missing)
    published = read_published(folder)
    baseline = published.baseline(own_features(whole, part.name), bool(seen.causal))
    model.to(device)
    packed = pack(model, getattr(torch, source.dtype), lambda: sample_run(model, part, reader))
    return Encoder(
        source.model,
        packed,
        part,
        reader,
        seen,
        fingerprint(folder, part.name, *source.settings),
        _found(source, folder),
        baseline=baseline,
        pooler=own_pooler(model, whole.config.model_type),
        reading=published.reading.asked(source.query, source.passage, source.pool_prompt),
    )


def _found(source: Source, folder: Path) -> Source:
    """The source of what was found in the folder: a local model by its path, for `out/` may be another there."""
    local = source.model not in BUNDLES and resolved(source.model).is_dir()
    return replace(source, model=str(folder)) if local else source


def _device(wanted: Device) -> str:
    seen = torch.cuda.is_available()
    if wanted == "cuda" and not seen:
        raise LabError("states.device is cuda, and torch sees no GPU here. Choose auto or cpu.")
    return "cuda" if seen and wanted != "cpu" else "cpu"


def _moved(states: HiddenStates, device: str | torch.device) -> HiddenStates:
    eos = None if states.eos is None else states.eos.to(device)
    return replace(states, values=states.values.to(device), mask=states.mask.to(device), eos=eos)


def _numpy(pooled: Tensor) -> Float32[np.ndarray, "layer batch d_model"]:
    array: np.ndarray = pooled.float().cpu().numpy()
    return array

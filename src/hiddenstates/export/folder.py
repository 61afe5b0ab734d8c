"""A chosen embedding as a folder that sentence-transformers loads, and that gives the lab's own vectors."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import (
    LayerNorm as LayerNormModule,
    Pooling,
    WeightedLayerPooling,
)
from torch import nn

from hiddenstates.core.errors import LabError, shortened
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.whitening import Whitenings
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.prompts import Side
from hiddenstates.encoding.models.baseline import dimensions
from hiddenstates.encoding.models.files import load_found, model_folder
from hiddenstates.encoding.models.head import LayerNorm, Linear, Step
from hiddenstates.encoding.models.published import transformer_folder
from hiddenstates.export import combined_states
from hiddenstates.export.card import card
from hiddenstates.export.combined_states import CombinedStates
from hiddenstates.export.plan import Plan, plan
from hiddenstates.export.reading import quiet, read

FARTHEST = 1e-6
"""1 − cosine of a vector that comes out of the folder and the lab's own, at most."""

SAMPLES = (
    "Yerevan",
    "Where is it?",
    "The flag of Armenia shows three bands of equal width: red, blue and apricot.",
    'Un été à Genève, 1 234 habitants, naïve façade; "quotes" & symbols #1 (2026)!',
    "A sentence that goes on and on, as long texts do, about rivers, lakes and mountains. " * 40,
)
"""Texts by which the folder is held against the lab: short, long, cut, with letters that a vocabulary may not have."""


CHOICE = "choice"
"""The folder in the folder that says what was chosen, as the stage left it: `hiddenstates index` reads it."""

SIDES: tuple[Side, ...] = ("query", "passage")


def export(encoder: Encoder, choice: Choice, folder: Path, stage: Path | None = None) -> Plan:
    """Write the folder, load it again, and hold its vectors of `SAMPLES` against the lab's.

    encoder: the one that the choice was made for, in float32 on the CPU
    folder:  must not be there yet; nothing is left of it where this fails
    stage:   the folder of the stage that chose, for the model card

    Raises LabError where sentence-transformers cannot run that part of a model, or gives other vectors.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LabError(f"{folder} is there already. Name a new folder.")
    _check(encoder, choice)
    strategy = choice.strategy.resolve(len(encoder.state_map))
    written = plan(strategy, choice.whitening or Whitenings({}), encoder)
    width = dimensions(strategy, encoder.width, encoder.baseline.head)
    ours = {side: choice.encode(encoder, SAMPLES, side=side).vectors for side in SIDES}
    with TemporaryDirectory(dir=_parent(folder)) as scratch, quiet():
        source = _source(encoder, Path(scratch) / "whole")
        reasons = []
        for kept in _depths(encoder, written):
            place = Path(scratch) / "made"
            shutil.rmtree(place, ignore_errors=True)
            try:
                _write(encoder, written, source, kept, width, place)
                farthest = _distance(read(place), ours)
            except Exception as error:  # sentence-transformers raises whatever it trips over
                reasons.append(shortened(str(error)))
                continue
            if farthest <= FARTHEST:
                told = card(encoder, choice, written, width, folder.name, stage)
                (place / "README.md").write_text(told, encoding="utf-8")
                choice.save(place / CHOICE)
                shutil.rmtree(folder, ignore_errors=True)
                shutil.move(place, folder)
                return written
            reasons.append(f"its vectors differ, 1 - cosine {farthest:.1e}")
    raise LabError(
        f"model {encoder.name}: sentence-transformers does not give the vectors of {choice.strategy} ({reasons[-1]}). "
        "Use it through `hiddenstates encode`."
    )


def _check(encoder: Encoder, choice: Choice) -> None:
    if choice.fingerprint != encoder.fingerprint:
        raise LabError(
            f"choice: made for model {choice.fingerprint}, {encoder.name} is {encoder.fingerprint}. Name the model "
            "that the choice was made for."
        )
    if encoder.part.reads != "text":
        raise LabError(
            f"model {encoder.name}: this part of it reads {encoder.part.reads}; sentence-transformers would feed it "
            "otherwise. Only encoders of text are exported."
        )
    if encoder.part.left.filled or not encoder.seen.pads:
        raise LabError(
            f"model {encoder.name}: padding shows in its states, and sentence-transformers pads otherwise than the lab "
            "batches. It is not exported."
        )


def _parent(folder: Path) -> Path:
    parent = folder.absolute().parent
    if not parent.is_dir():
        raise LabError(f"{folder}: there is no folder {parent}. Make it first.")
    return parent


def _source(encoder: Encoder, scratch: Path) -> Path:
    """A folder from which sentence-transformers loads the part that runs: the model's own, or one of that part."""
    assert encoder.source is not None
    folder = transformer_folder(model_folder(encoder.source.model, encoder.source.revision))
    if encoder.part.path in ("", "encoder"):
        return folder
    whole, _ = load_found(folder)
    whole.get_submodule(encoder.part.path).save_pretrained(scratch)
    encoder.tokenizer.save_pretrained(scratch)
    return scratch


def _depths(encoder: Encoder, written: Plan) -> Iterator[int]:
    """How many layers to keep: those below the highest state; one more where a final norm is in the way; all."""
    most, highest = len(encoder.state_map) - 1, max(written.layers)
    yield from dict.fromkeys(min(max(kept, 1), most) for kept in (highest, highest + 1, most))


def _write(encoder: Encoder, written: Plan, source: Path, kept: int, width: int, place: Path) -> None:
    modules = [_transformer(encoder, written, source, kept), *_modules(encoder, written, kept, width)]
    reading = encoder.reading
    default = "query" if reading.alike and reading.alike == reading.query else None
    made = SentenceTransformer(
        modules=modules,
        prompts=_prompts(encoder),
        default_prompt_name=default,
        similarity_fn_name="cosine",
        device="cpu",
    )
    made.save_pretrained(str(place), create_model_card=False)
    if not written.native:
        _name_own_class(place)


def _prompts(encoder: Encoder) -> dict[str, str]:
    return {"query": encoder.reading.query, "document": encoder.reading.passage}


def _transformer(encoder: Encoder, written: Plan, source: Path, kept: int) -> Transformer:
    """The model cut above the highest state that is used, and which of its states comes out."""
    single = written.native and not written.weights
    output = ["hidden_states", written.layers[0]] if single else "last_hidden_state"
    settings: dict[str, Any] = {"num_hidden_layers": kept} if kept < len(encoder.state_map) - 1 else {}
    if not single:
        settings["output_hidden_states"] = True
    module = Transformer(
        str(source),
        config_kwargs=settings,
        model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        modality_config={"text": {"method": "forward", "method_output_name": output}},
        module_output_name="token_embeddings",
        max_seq_length=encoder.max_tokens,
        do_lower_case=encoder.reading.lower_case,
    )
    if module.tokenizer is not None:
        module.tokenizer.padding_side = "right"  # positions count from a text's first token
    return module


def _modules(encoder: Encoder, written: Plan, kept: int, width: int) -> list[nn.Module]:
    pooled = encoder.reading.pool_prompt
    if not written.native:
        return [_combined(encoder, written, width)]
    modules: list[nn.Module] = []
    if written.weights:
        first = written.layers[0]
        unused = [0.0] * (kept + 1 - first - len(written.weights))  # it takes every state from the first on
        layer_pooling = WeightedLayerPooling(encoder.width, num_hidden_layers=kept, layer_start=first)
        layer_pooling.layer_weights.data = torch.tensor([*written.weights, *unused])  # a parameter, and so saved
        modules.append(layer_pooling)
    modules.append(Pooling(encoder.width, list(written.modes), include_prompt=pooled))
    modules += map(_step, written.steps)
    return [*modules, Normalize()] if written.normalize else modules


def _step(step: Step) -> nn.Module:
    if isinstance(step, Linear):
        return _dense(step)
    if isinstance(step, LayerNorm):
        norm = LayerNormModule(len(step.weight))
        norm.norm.weight.data, norm.norm.bias.data = _tensor(step.weight), _tensor(step.bias)
        norm.norm.eps = step.epsilon
        return norm
    return Normalize()


def _dense(step: Linear) -> Dense:
    rows, columns = step.weight.shape
    activation = getattr(nn, step.activation)()
    bias = None if step.bias is None else _tensor(step.bias)
    own = step.residual is not None
    dense = Dense(columns, rows, bias is not None, activation, _tensor(step.weight), bias, use_residual=own)
    if own and columns != rows:
        dense.residual.weight.data = _tensor(step.residual)
    return dense


def _combined(encoder: Encoder, written: Plan, width: int) -> CombinedStates:
    special, tensors = encoder.text.special, written.tensors
    end = None if special.end is None else {"id": special.end, "back": special.back, "first": special.first}
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    made = CombinedStates(encoder.width, width, list(written.parts), shapes, end, encoder.reading.pool_prompt)
    for name, tensor in tensors.items():
        made.tensor(name).copy_(_tensor(tensor))
    return made


def _tensor(array: Any) -> torch.Tensor:
    return torch.tensor(np.ascontiguousarray(array), dtype=torch.float32)


def _name_own_class(place: Path) -> None:
    """modules.json names our module by the file that went along."""
    path, name = place / "modules.json", combined_states.__name__
    listed = path.read_text(encoding="utf-8")
    path.write_text(listed.replace(name, name.rpartition(".")[2]), encoding="utf-8")


def _distance(theirs: SentenceTransformer, ours: Mapping[Side, np.ndarray]) -> float:
    """The largest 1 - cosine of its vectors of the samples and the lab's, over both sides."""
    sides: dict[Side, Any] = {"query": theirs.encode_query, "passage": theirs.encode_document}
    return max(_apart(ours[side], encode) for side, encode in sides.items())


def _apart(ours: np.ndarray, encode: Any) -> float:
    found = np.asarray(encode(list(SAMPLES), show_progress_bar=False), dtype=np.float64)
    mine = ours.astype(np.float64)
    if found.shape != mine.shape:
        raise LabError(f"its vectors have {found.shape[1]} dimensions for {mine.shape[1]}")
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(mine, axis=1)
    return float((1 - (found * mine).sum(1) / norms).max())

"""What an encoder is like, measured on a few short inputs when it is loaded, on the CPU and before anything is packed.

Which module made each hidden state; whether a batch changes its rows; whether padding shows; who sees whom; how long a
text may be; whether an image has a class token.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from hiddenstates.core.errors import LabError, shortened
from hiddenstates.encoding.forward.exits import Exits, find_exits, stopped_at
from hiddenstates.encoding.forward.families import Part, State, StateMap
from hiddenstates.encoding.forward.running import hidden_states, run, stacked
from hiddenstates.encoding.forward.tracing import trace
from hiddenstates.encoding.inputs.readers import ImageReader, Reader, Row, TextReader
from hiddenstates.encoding.models.files import refuse_missing

TOLERANCE = 1e-4
"""Two states are the same where they differ by no more than this share of the layer's largest number: what rounding
makes of a hundred layers, a thousandth of what reading padding as text does."""

LENGTHS = (9, 9, 5)
"""Tokens of the rows that are tried: two of one length, and one that is padded beside them."""

CHANGED = 5
"""Position at which the second row differs from the first."""

PICTURES = ((48, 32), (20, 40))
"""Width and height of the pictures that are tried."""


@dataclass(frozen=True)
class Seen:
    """What was measured of an encoder.

    state_map:   what made each hidden state
    width:       d_model
    causal:      whether a token sees only those before it; None for images
    pads:        whether a padded row has the states that it has alone; where not, rows of one length only are batched
    class_token: whether an image's first state is no patch: it is the same for every image before the first layer
    places:      positions of an image; 0 for texts
    parameters:  how many numbers the part that runs has learned
    exits:       where each state leaves the model, so that no more of it need run
    """

    state_map: StateMap
    width: int
    causal: bool | None = None
    pads: bool = True
    class_token: bool = False
    places: int = 0
    parameters: int = 0
    exits: Exits = ()


@dataclass(frozen=True)
class Probe:
    """The part of a model that runs, on the CPU, and what it is called in messages."""

    name: str
    model: Any
    part: Part

    def states(self, arguments: dict[str, Any]) -> Tensor:
        """All hidden states of a batch, [layer, batch, position, d_model]."""
        try:
            with torch.inference_mode():
                return stacked(hidden_states(self.model, arguments, self.part.output))
        except LabError as error:
            raise LabError(f"model {self.name}: {error}") from error
        except Exception as error:  # a model raises whatever it trips over
            reason = shortened(str(error))
            raise LabError(
                f"model {self.name}: it does not run on {', '.join(arguments)} alone "
                f"({type(error).__name__}: {reason}). Choose another model or part."
            ) from error

    def trace(self, arguments: dict[str, Any]) -> tuple[StateMap, Tensor]:
        """What made each hidden state of a batch, and the states."""
        made, states = trace(self.model, self.part.path, lambda: self.states(arguments))
        boxes = self.part.left.boxes
        return (_beside(made[0], boxes), *made[1:]) if boxes else made, states

    def exits(self, arguments: dict[str, Any], state_map: StateMap, states: Tensor) -> Exits:
        """Where each state leaves the model. The last two: what `trace` returned for the same arguments."""
        with torch.inference_mode():
            return find_exits(self.model, self.part.path, state_map, states, lambda: run(self.model, arguments))


def examine(folder: Path, whole: Any, part: Part, reader: Reader, missing: Sequence[str] = ()) -> tuple[Seen, Reader]:
    """What is measured of a part of a model, and its reader, which then knows how long an input may be.

    missing: names of weights of the whole that are random; LabError if a hidden state depends on one
    """
    probe = Probe(str(folder), whole.get_submodule(part.path), part)
    if isinstance(reader, ImageReader):
        seen = examine_images(probe, reader)
        _check_missing(folder, whole, probe, image_arguments(probe, reader), missing)
        return seen, replace(reader, places=seen.places)
    text = text_of(reader)
    _check_missing(folder, whole, probe, arguments_of(text, sample_rows(text, LENGTHS)), missing)
    seen = examine_texts(probe, text)
    text = replace(text, max_tokens=longest_text(probe, text, seen.state_map))
    whole_reader: Any = reader
    return seen, text if isinstance(reader, TextReader) else replace(whole_reader, text=text)


def text_of(reader: Reader) -> TextReader:
    """What reads the texts: the reader itself, or that part of one that reads images, too."""
    found: Any = reader
    text: TextReader = getattr(found, "text", found)
    return text


def sample_run(model: Any, part: Part, reader: Reader) -> None:
    """One forward pass over a small batch, wherever the model is."""
    probe = Probe("", model, part)
    if isinstance(reader, ImageReader):
        arguments = image_arguments(probe, reader)
    else:
        arguments = arguments_of(text_of(reader), sample_rows(text_of(reader), LENGTHS))
    device = next(model.parameters()).device
    with torch.inference_mode():
        hidden_states(model, {name: value.to(device) for name, value in arguments.items()}, part.output)


def _check_missing(folder: Path, whole: Any, probe: Probe, arguments: dict[str, Any], missing: Sequence[str]) -> None:
    """Nothing to do with a state has a weight through which no gradient flows from it."""
    if not missing:
        return
    weights = dict(whole.named_parameters())
    random = [name for name in missing if name in weights]
    with torch.enable_grad():
        states = stacked(hidden_states(probe.model, arguments, probe.part.output))
        slopes = torch.autograd.grad(states.square().sum(), [weights[name] for name in random], allow_unused=True)
    seen = [name for name, slope in zip(random, slopes, strict=True) if slope is not None]
    inside = [name for name in missing if name not in weights and name.startswith(probe.part.path)]
    refuse_missing(folder, sorted([*seen, *inside]))


def examine_texts(probe: Probe, reader: TextReader) -> Seen:
    """What is measured with texts. LabError where a row's states depend on its neighbours."""
    rows = sample_rows(reader, LENGTHS)
    alone, pair, short = (probe.states(arguments_of(reader, some)) for some in (rows[:1], rows[:2], rows[2:]))
    _check_places(probe, alone, LENGTHS[0])
    _check_rows(probe, alone, pair, lambda: probe.states(arguments_of(reader, rows[:1])))
    state_map, mixed = probe.trace(arguments_of(reader, rows))
    return Seen(
        state_map,
        alone.shape[-1],
        causal=same(pair[:, 0, :CHANGED], pair[:, 1, :CHANGED], TOLERANCE / 100),
        pads=same(short[:, 0], mixed[:, 2, : LENGTHS[2]]),
        parameters=parameters(probe.model),
        exits=probe.exits(arguments_of(reader, rows), state_map, mixed),
    )


def examine_images(probe: Probe, reader: ImageReader) -> Seen:
    """What is measured with images. LabError where the number of positions depends on the picture."""
    first, second = (image_arguments(probe, reader, [size]) for size in PICTURES)
    alone, other = probe.states(first), probe.states(second)
    if alone.shape != other.shape:
        raise LabError(
            f"model {probe.name}: one picture takes {alone.shape[2]} positions and another {other.shape[2]}. "
            "Choose an image processor that brings all pictures to one size."
        )
    pair = {"pixel_values": torch.cat([first["pixel_values"], second["pixel_values"]])}
    _check_rows(probe, alone, probe.states(pair), lambda: probe.states(first))
    state_map, states = probe.trace(pair)
    return Seen(
        state_map,
        alone.shape[-1],
        class_token=same(alone[0, 0, 0], other[0, 0, 0], 0),
        places=alone.shape[2],
        parameters=parameters(probe.model),
        exits=probe.exits(pair, state_map, states),
    )


def parameters(model: nn.Module) -> int:
    """How many numbers it has learned; a tensor that two modules share counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def longest_text(probe: Probe, reader: TextReader, state_map: StateMap) -> int:
    """Tokens that a text may have, `max_tokens` at most: as many as the model takes without an error.

    Learned positions end somewhere, after one or two that nothing uses; the configuration's own number, if there is
    one, is not passed either.
    """
    stated = getattr(probe.model.config, "max_position_embeddings", None)
    most = min(reader.max_tokens, stated) if isinstance(stated, int) and stated > 0 else reader.max_tokens
    if _takes(probe, reader, state_map, most):
        return most
    least = min(LENGTHS[0], most)
    for guess in (most - 1, most - 2):  # positions that nothing uses
        if guess > least and _takes(probe, reader, state_map, guess):
            return guess
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if _takes(probe, reader, state_map, middle) else (least, middle)
    return least


ENTERED_ONLY = 1024
"""A longer text is followed to the door of the first layer, not through it: attention takes its length squared."""


def _takes(probe: Probe, reader: TextReader, state_map: StateMap, length: int) -> bool:
    """Whether the model runs on a text of so many tokens, seen from its first layer."""
    arguments = arguments_of(reader, sample_rows(reader, (length,)))
    try:
        with torch.inference_mode(), _stopped(probe, state_map, length > ENTERED_ONLY):
            hidden_states(probe.model, arguments, probe.part.output)
    except Exception:  # an index out of range, a shape that does not fit: whatever it is, it does not run
        return False
    return True


def _stopped(probe: Probe, state_map: StateMap, at_its_door: bool) -> AbstractContextManager[None]:
    """What stops the model after, or before, what makes state 1; nothing where no module does."""
    if len(state_map) < 2 or not state_map[1].traced or state_map[1].module == state_map[0].module:
        return nullcontext()
    return stopped_at(probe.model.get_submodule(state_map[1].module.removeprefix(f"{probe.part.path}.")), at_its_door)


def sample_rows(reader: TextReader, lengths: Sequence[int]) -> list[list[int]]:
    """Rows of token ids of these lengths. The second differs from the first in one place, others throughout."""
    special, n = reader.special, len(reader.tokenizer)
    marks = set(reader.tokenizer.all_special_ids)
    plain = [id for id in range(0, n, max(n // 256, 1)) if id not in marks]
    around = len(special.before) + len(special.after)
    rows = []
    for i, length in enumerate(lengths):
        shift = 0 if i < 2 else i
        inner = [plain[(7 * (k + 1) + shift) % len(plain)] for k in range(max(length - around, 0))]
        rows.append([*special.before, *inner, *special.after][:length])
    if len(rows) > 1:
        rows[1][CHANGED] = next(id for id in plain if id != rows[0][CHANGED])
    return rows


def arguments_of(reader: TextReader, rows: Sequence[list[int]]) -> dict[str, Any]:
    """What the model takes of rows of token ids."""
    return dict(reader.batch([Row(ids) for ids in rows]).arguments)


def same(one: Tensor, other: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Whether no number of a layer differs by more than that share of the layer's largest one."""
    one, other = (states.reshape(states.shape[0], -1) for states in (one, other))
    scale = one.abs().amax(1, keepdim=True)
    return bool(((one - other).abs() <= tolerance * scale).all())


def _check_places(probe: Probe, states: Tensor, length: int) -> None:
    if states.shape[2] != length:
        raise LabError(
            f"model {probe.name}: its states have {states.shape[2]} positions for {length} tokens, so none belongs to "
            "one token. Choose another model."
        )
    if not states.isfinite().all():
        raise LabError(f"model {probe.name}: its states hold NaN or infinity for a short text. Choose another model.")


def _check_rows(probe: Probe, alone: Tensor, pair: Tensor, again: Callable[[], Tensor]) -> None:
    """LabError where the first row has other states beside another one of its length."""
    if pair.shape[1:] != (2, *alone.shape[2:]):
        raise LabError(f"model {probe.name}: it does not keep the rows of a batch apart. Choose another model.")
    if same(alone, pair[:, :1]):
        return
    if not same(alone, again()):
        raise LabError(
            f"model {probe.name}: it puts out other states each time, of the same input: something in it is drawn at "
            "random. Choose another model."
        )
    raise LabError(
        f"model {probe.name}: what it makes of one input depends on those beside it in the batch. Choose another model."
    )


def image_arguments(probe: Probe, reader: ImageReader, sizes: Sequence[tuple[int, int]] = PICTURES) -> dict[str, Any]:
    """What the model takes of pictures of random pixels, of these widths and heights."""
    random = np.random.default_rng(len(sizes) + sizes[0][0])
    pictures = [Image.fromarray(random.integers(256, size=(h, w, 3), dtype=np.uint8)) for w, h in sizes]
    try:
        return {"pixel_values": torch.cat([reader.pixels([picture]) for picture in pictures])}
    except Exception as error:  # a processor raises whatever it trips over
        raise LabError(
            f"model {probe.name}: its image processor makes no pixel values of a picture ({shortened(str(error))}). "
            "Save the processor that the model was trained with."
        ) from error


def _beside(text: State, boxes: State) -> State:
    """Of state 0, where boxes stand after a text."""
    norm = ", ".join(part for part in (text.norm, boxes.norm) if part)
    return replace(text, module=f"{text.module}, {boxes.module}", norm=norm)

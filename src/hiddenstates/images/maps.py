"""What the parts of an image say: CLIP's class token looks at patches, VL-T5 reads them as boxes beside a question."""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from hiddenstates.core.data import Task
from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import Encoder
from hiddenstates.encoding.inputs.readers import ImageReader, TextImage


@dataclass(frozen=True)
class Example:
    """A question about an image, and the image that it should find."""

    question: str
    image: Path
    found: Path


def examples(task: Task, n: int, sound: Container[str]) -> dict[str, Example]:
    """Test questions about n different images, by the images' names, evenly spread in their order; fewer if need be.

    sound: names of the images that can be read, the passages' and the queries'
    """
    images = dict(zip(task.kb.ids, task.kb.passages["image"][:], strict=True))
    asked = {}
    for row in task.select(split="test").queries:
        found = next((images[p] for p, grade in task.qrels[row["id"]].items() if grade > 0 and images[p] in sound), "")
        if row["image"] in sound and found:
            asked[row["image"]] = Example(row["text"], task.kb.images / row["image"], task.kb.images / found)
    names = list(asked)
    return {name: asked[name] for name in names[:: max(1, len(names) // n)][:n]}


@dataclass(frozen=True, eq=False)
class PatchMaps:
    """An image, and a number for each of its patches by some name, row by row from the top left.

    seen: the pixels that the encoder gets, in [0, 1], after whatever its processor cuts off
    """

    seen: Float[np.ndarray, "height width 3"]
    maps: dict[str, Float[np.ndarray, "side side"]]


def as_seen(encoder: Encoder, image: Path) -> Float[np.ndarray, "height width 3"]:
    """The image as its processor hands it to the encoder, the normalisation taken back."""
    reader = _images(encoder)
    pixels = reader.batch(reader.rows([image])).arguments["pixel_values"][0]  # [3, height, width]
    mean, std = (torch.tensor(v)[:, None, None] for v in (reader.processor.image_mean, reader.processor.image_std))
    seen: np.ndarray = (pixels * std + mean).clamp(0, 1).permute(1, 2, 0).numpy()
    return seen


@torch.inference_mode()
def class_attention(encoder: Encoder, image: Path) -> Float[np.ndarray, "side side"]:
    """How the class token of the last layer shares its attention out over the patches, mean of the heads; sums to 1."""
    reader = _images(encoder)
    with _eager(encoder):
        out = encoder.model(**reader.batch(reader.rows([image])).arguments, output_attentions=True)
    attention = _patches(out.attentions[-1][0, :, 0].mean(0))
    return _square(attention / attention.sum())


def patch_similarity(encoder: Encoder, image: Path, other: Path) -> Float[np.ndarray, "side side"]:
    """The cosine of each patch's last state with the mean of the other image's patches."""
    ours, theirs = (_patches(encoder.states([path]).values[-1, 0]) for path in (image, other))  # [patch, d_model]
    return _square(cosine_similarity(ours, theirs.mean(0, keepdim=True)))


def box_similarity(encoder: Encoder, question: str, image: Path) -> Float[np.ndarray, "side side"]:
    """The cosine of each box's last state with the mean of the question's tokens, both read in one encoder (VL-T5)."""
    if TextImage not in encoder.reader.kinds:
        raise LabError(
            f"model {encoder.name}: it reads no boxes beside a text. Name a VL-T5 or VL-BART in images.boxes."
        )
    states = encoder.states([TextImage(question, image)]).values[-1, 0]  # [position, d_model]
    tokens = len(encoder.tokenize([question])[0])
    return _square(cosine_similarity(states[tokens:], states[:tokens].mean(0, keepdim=True)))


def patch_maps(eye: Encoder, boxes: Encoder, example: Example) -> PatchMaps:
    """The maps of a question's image; an eye without a class token has no attention of its."""
    maps = {
        "the patch and the picture\nto be found, cosine": patch_similarity(eye, example.image, example.found),
        "VL-T5: box and question,\ncosine": box_similarity(boxes, example.question, example.image),
    }
    if eye.seen.class_token:
        maps = {"the class token's\nattention": class_attention(eye, example.image)} | maps
    return PatchMaps(as_seen(eye, example.image), maps)


def _images(encoder: Encoder) -> ImageReader:
    if not isinstance(encoder.reader, ImageReader):
        raise LabError(f"model {encoder.name}: this part of it reads no images. Load the part vision.")
    return encoder.reader


@contextmanager
def _eager(encoder: Encoder) -> Iterator[None]:
    """With attention that can be looked at: sdpa gives none, and does not say so."""
    before = encoder.model.config._attn_implementation
    encoder.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        encoder.model.set_attn_implementation(before)


def _patches(values: Tensor) -> Tensor:
    """The positions that are patches, a square of them, after a class token and registers, where there are such."""
    return values[-(isqrt(len(values)) ** 2) :]


def _square(values: Tensor) -> Float[np.ndarray, "side side"]:
    side = round(len(values) ** 0.5)
    grid: np.ndarray = values.reshape(side, side).numpy()
    return grid

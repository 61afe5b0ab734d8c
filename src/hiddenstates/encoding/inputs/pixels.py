"""Pictures on their way into an image processor: what scaling makes of them is bounded, too, not only the file."""

from collections.abc import Sequence
from math import ceil, floor
from pathlib import Path
from typing import Any

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.core.images import read_image

THIN = 16
"""From so many times as long as it is wide on, a picture is cropped before it is scaled."""
SUPPORT = 3  # pixels on each side that a filter of Pillow looks at; Lanczos has the widest


def pixel_values(images: Sequence[Path], processor: Any) -> Float[Tensor, "image channel height width"]:
    """What the model takes of these files. LabError for one that cannot be read, or is too thin for the processor."""
    pictures = [cropped(read_image(path), processor, str(path)) for path in images]
    pixels: Tensor = processor(images=pictures, return_tensors="pt")["pixel_values"]
    return pixels


def cropped(picture: Image.Image, processor: Any, name: str) -> Image.Image:
    """The picture itself; of a long, thin one the middle, already scaled, of which the processor makes the same pixels.

    A processor that scales the shorter side to 224 makes 896,000 × 224 pixels of 8,000 × 2, to keep 224 × 224 of them.
    LabError where it keeps them all.
    """
    size = dict(processor.size)
    edge = size.get("shortest_edge") if processor.do_resize else None
    short, long = sorted(picture.size)
    if not edge or size.get("longest_edge") or long <= THIN * short:
        return picture
    if not processor.do_center_crop:
        raise LabError(
            f"{name}: {picture.width} × {picture.height} pixels are too thin for this model. Crop the image."
        )
    upright = picture.height > picture.width
    kept = dict(processor.crop_size)["height" if upright else "width"]
    scaled = int(edge * long / short)  # as transformers rounds it
    rim = max(0, ceil((edge - kept) / 2))  # the long side must stay the longer one
    first = (scaled - kept) // 2 - rim
    return _middle(picture, upright, edge, (first, first + kept + 2 * rim), long / scaled, processor.resample)


def _middle(
    picture: Image.Image, upright: bool, edge: int, wanted: tuple[int, int], scale: float, resample: int
) -> Image.Image:
    """The pixels `wanted` of the long side of the scaled picture. scale: pixels of the picture per scaled one.

    Pillow takes a box in single precision: cut out with a margin first, its numbers are small and nothing is lost.
    """
    begin, end = (place * scale for place in wanted)
    margin = SUPPORT * max(1.0, scale) + 1
    low, high = max(0, floor(begin - margin)), min(max(picture.size), ceil(end + margin))
    length = wanted[1] - wanted[0]
    if upright:
        strip = picture.crop((0, low, picture.width, high))
        return strip.resize((edge, length), resample, box=(0, begin - low, picture.width, end - low))
    strip = picture.crop((low, 0, high, picture.height))
    return strip.resize((length, edge), resample, box=(begin - low, 0, end - low, picture.height))

"""Boxes without a detector: the patches of a frozen CLIP vision model, each with its feature and its place.

And what reads them, beside a text, for VL-T5 and VL-BART.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import first_of_content
from hiddenstates.encoding.inputs.pixels import pixel_values
from hiddenstates.encoding.inputs.readers import Batch, Input, Reader, Row, TextImage, TextReader
from hiddenstates.encoding.models.files import load_config, load_image_processor, load_model

IMAGES_AT_ONCE = 64
"""Images whose boxes are made in one batch, where they are stored."""


@dataclass(frozen=True)
class GridBoxes:
    """What makes boxes of pictures. Made by `load_boxes`."""

    vision: Any
    processor: Any

    @property
    def side(self) -> int:
        """Patches to a side."""
        side: int = self.vision.config.image_size // self.vision.config.patch_size
        return side

    @torch.inference_mode()
    def features(self, images: Sequence[Path]) -> Float[Tensor, "image box feat_dim"]:
        """The last hidden state of each patch, row by row from the top left; the class token is left out."""
        pixels = pixel_values(images, self.processor)
        features: Tensor = self.vision(pixel_values=pixels).last_hidden_state[:, 1:]
        return features

    def places(self) -> Float[Tensor, "box 4"]:
        """(x1, x2, y1, y2) of each patch in [0, 1], in the order of the features."""
        return _grid(self.side)


@dataclass(frozen=True, eq=False)
class StoredBoxes:
    """The boxes of some images, made once. Does what `GridBoxes` does, of these images. Made by `store_boxes`.

    values: of each different image
    rows:   which of them an image is
    """

    values: Float[Tensor, "image box feat_dim"]
    rows: Mapping[Path, int]
    side: int

    def features(self, images: Sequence[Path]) -> Float[Tensor, "image box feat_dim"]:
        unknown = next((path for path in images if path not in self.rows), None)
        if unknown:
            raise LabError(f"{unknown}: its boxes are not among the {len(self.rows)} stored ones. Store them, too.")
        return self.values[[self.rows[path] for path in images]]

    def places(self) -> Float[Tensor, "box 4"]:
        return _grid(self.side)


def store_boxes(boxes: GridBoxes, images: Iterable[Path]) -> StoredBoxes:
    """The boxes of these images; files of equal content are embedded once. 36 boxes of 2048 take 0.3 MB an image."""
    first = first_of_content({path: path for path in images})
    paths = list(dict.fromkeys(first.values()))
    row = {path: i for i, path in enumerate(paths)}
    made = [boxes.features(paths[i : i + IMAGES_AT_ONCE]) for i in range(0, len(paths), IMAGES_AT_ONCE)]
    values = torch.cat(made) if made else torch.empty(0, boxes.side**2, boxes.vision.config.hidden_size)
    return StoredBoxes(values, {path: row[same] for path, same in first.items()}, boxes.side)


@dataclass(frozen=True)
class TextImageReader:
    """Reads texts, some with an image, whose boxes come after the text. boxes: None if the model came without them."""

    text: TextReader
    boxes: GridBoxes | StoredBoxes | None
    kinds: ClassVar[tuple[type, ...]] = (str, TextImage)

    def inputs(self, texts: Sequence[str], images: Sequence[Path | None]) -> Sequence[Input | None]:
        return [TextImage(text, image) for text, image in zip(texts, images, strict=True)]

    def rows(self, inputs: Sequence[Any]) -> list[Row]:
        pairs = [value if isinstance(value, TextImage) else TextImage(value) for value in inputs]
        texts = self.text.rows([pair.text for pair in pairs])
        return [self._row(row, pair.image) for row, pair in zip(texts, pairs, strict=True)]

    def batch(self, rows: Sequence[Row]) -> Batch:
        text = self.text.batch(rows)
        images = list(dict.fromkeys(row.image for row in rows if row.image))
        if not images or self.boxes is None:
            return text
        features = self.boxes.features(images)  # [image, box, feat_dim]
        chosen = [images.index(row.image) if row.image else 0 for row in rows]
        seen = torch.tensor([[row.image is not None] for row in rows]).expand(-1, features.shape[1])  # [batch, box]
        boxes = {
            "vis_feats": features[chosen],
            "vis_pos": self.boxes.places().expand(len(rows), -1, -1),
            "vis_attention_mask": seen.long(),
        }
        return Batch({**text.arguments, **boxes}, torch.cat([text.mask, seen], 1), text.eos)

    def _row(self, text: Row, image: Path | None) -> Row:
        if image is None:
            return text
        if self.boxes is None:
            raise LabError(f"{image}: this model came without a vision/ folder to make boxes. Read the text alone.")
        return Row(text.tokens, image, self.boxes.side**2)


def with_stored(reader: Reader, images: Iterable[Path]) -> Reader:
    """The reader with the boxes of these images made once; one that reads no boxes, or stored ones, as it is."""
    if isinstance(reader, TextImageReader) and isinstance(reader.boxes, GridBoxes):
        return replace(reader, boxes=store_boxes(reader.boxes, images))
    return reader


def load_boxes(folder: Path, feat_dim: int) -> GridBoxes | None:
    """The boxes that the vision model in the folder makes; None where there is no such folder."""
    if not folder.is_dir():
        return None
    config = load_config(folder)
    if config.model_type != "clip_vision_model" or config.hidden_size != feat_dim:
        raise LabError(
            f"model {folder}: a {config.model_type} of width {getattr(config, 'hidden_size', None)}, "
            f"wanted is a clip_vision_model of the encoder's feat_dim {feat_dim}. Save the one it was trained with."
        )
    return GridBoxes(load_model(folder), load_image_processor(folder))


def _grid(side: int) -> Float[Tensor, "box 4"]:
    """(x1, x2, y1, y2) of each cell, row by row from the top left."""
    edges = torch.arange(side + 1) / side
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([edges[x], edges[x + 1], edges[y], edges[y + 1]], -1).flatten(0, 1)

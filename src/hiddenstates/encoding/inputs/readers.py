"""Readers: what makes rows of an encoder's inputs, and of rows a batch that its model takes.

Which reader a family has is a word in its entry in families.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.inputs.pixels import pixel_values


@dataclass(frozen=True)
class TextImage:
    """A text and the file of the image that goes with it, if any."""

    text: str
    image: Path | None = None


Input = str | Path | TextImage


@dataclass(frozen=True)
class Row:
    """One input. An image stays a file until its batch comes.

    tokens: ids of the text's tokens; none for a bare image
    places: how many positions the image takes up; 0 without one
    """

    tokens: list[int]
    image: Path | None = None
    places: int = 0

    def __len__(self) -> int:
        return len(self.tokens) + self.places

    @property
    def key(self) -> tuple[tuple[int, ...], Path | None]:
        """Rows of one key are one input to the model."""
        return tuple(self.tokens), self.image


@dataclass(frozen=True)
class Batch:
    """What the model takes, and what its hidden states will hold.

    mask: True where a position holds a token or a part of an image, False where it is padding
    eos:  position of the token that ends each text, -1 where a text has none; None for images
    """

    arguments: Mapping[str, Any]
    mask: Bool[Tensor, "batch position"]
    eos: Int[Tensor, " batch"] | None


@runtime_checkable
class Reader(Protocol):
    """What every reader does. kinds: the types of its inputs."""

    kinds: ClassVar[tuple[type, ...]]

    def inputs(self, texts: Sequence[str], images: Sequence[Path | None]) -> Sequence[Input | None]:
        """What it reads of items that have a text each, and some an image; None where that is nothing."""
        ...

    def rows(self, inputs: Sequence[Any]) -> list[Row]:
        """One row per input."""
        ...

    def batch(self, rows: Sequence[Row]) -> Batch:
        """The rows side by side, padded on the right."""
        ...


@dataclass(frozen=True)
class Special:
    """The special tokens that a tokenizer puts around each text, and which of them ends it.

    end:   id of the one that the pooling `eos` takes; None where nothing stands after a text
    back:  its position, counted from the last, which is 0
    first: take the first token of that id instead, though a text may name it, as CLIP does
    """

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    end: int | None = None
    back: int = 0
    first: bool = False

    def positions(
        self, ids: Int[Tensor, "batch position"], mask: Bool[Tensor, "batch position"]
    ) -> Int[Tensor, " batch"] | None:
        """Where each text ends, -1 where it was cut before its end; None where texts have no end."""
        if self.end is None:
            return None
        ends = (ids == self.end) & mask
        if not self.first:
            places = torch.arange(ids.shape[1])
            ends &= places == mask.sum(-1, keepdim=True) - 1 - self.back
        return first_position(ends)


@dataclass(frozen=True)
class TextReader:
    """Reads texts.

    A decoder reads the text shifted right by one while its encoder reads all of it, as BartForSequenceClassification
    does. Its position i lines up with position i of the text, at which it has read the text before i.

    max_tokens: a longer text is cut there
    special:    the tokens around a text
    start_id:   the token that a decoder reads first; None for an encoder
    filled:     whether a text is filled up to `max_tokens` with padding that is read, too
    """

    tokenizer: Any
    max_tokens: int
    special: Special = Special()
    start_id: int | None = None
    filled: bool = False
    kinds: ClassVar[tuple[type, ...]] = (str,)

    def inputs(self, texts: Sequence[str], images: Sequence[Path | None]) -> Sequence[Input | None]:
        return texts

    def rows(self, inputs: Sequence[Any]) -> list[Row]:
        tokens = self.tokenize(inputs)
        if [] in tokens:
            raise LabError(f"text {inputs[tokens.index([])]!r} has no tokens, so no hidden states. Leave it out.")
        return [Row(ids) for ids in tokens]

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included, cut to `max_tokens`."""
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(list(texts), **self.cut)["input_ids"]
        return ids

    @property
    def cut(self) -> dict[str, Any]:
        """What the tokenizer is told, so that a text is as long as the model reads it."""
        padding = "max_length" if self.filled else False
        return {"truncation": True, "max_length": self.max_tokens, "padding": padding}

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has before it is cut, special tokens included."""
        if not texts:
            return []
        return [len(ids) for ids in self.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]

    def batch(self, rows: Sequence[Row]) -> Batch:
        pad = self.tokenizer.pad_token_id  # without one any id will do: the mask hides it
        ids, mask = padded([row.tokens for row in rows], 0 if pad is None else pad)
        arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": mask.long()}
        if self.start_id is not None:
            shifted = torch.cat([torch.full_like(ids[:, :1], self.start_id), ids[:, :-1]], 1)
            arguments |= {"decoder_input_ids": shifted, "decoder_attention_mask": mask.long()}
        return Batch(arguments, mask, self.special.positions(ids, mask))


@dataclass(frozen=True)
class ImageReader:
    """Reads files of images. places: positions that an image takes up, a class token's and one a patch."""

    processor: Any
    places: int
    kinds: ClassVar[tuple[type, ...]] = (Path,)

    def inputs(self, texts: Sequence[str], images: Sequence[Path | None]) -> Sequence[Input | None]:
        return images

    def rows(self, inputs: Sequence[Any]) -> list[Row]:
        return [Row([], path, self.places) for path in inputs]

    def batch(self, rows: Sequence[Row]) -> Batch:
        pixels = pixel_values([row.image for row in rows if row.image], self.processor)
        return Batch({"pixel_values": pixels}, torch.ones(len(rows), self.places, dtype=torch.bool), None)

    def pixels(self, pictures: Sequence[Image.Image]) -> Float[Tensor, "image channel height width"]:
        """What the model reads of pictures, made as it was trained."""
        pixels: Tensor = self.processor(images=list(pictures), return_tensors="pt")["pixel_values"]
        return pixels


def padded(rows: Sequence[list[int]], pad: int) -> tuple[Int[Tensor, "batch position"], Bool[Tensor, "batch position"]]:
    """Token ids padded on the right, and the mask that says where they are not."""
    lengths = torch.tensor([len(row) for row in rows])
    width = int(lengths.max())
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    return ids, torch.arange(width) < lengths[:, None]


def first_position(found: Bool[Tensor, "batch position"]) -> Int[Tensor, " batch"]:
    """The first True of each row, -1 where there is none."""
    return torch.where(found.any(-1), found.int().argmax(-1), -1)


def check_kinds(inputs: Sequence[Any], reader: Reader) -> None:
    """LabError for the first input that the reader does not read; a bare string is no list of letters."""
    if isinstance(inputs, str):
        raise LabError(f"inputs: {inputs[:60]!r} is one text, where a list of them is wanted. Write [text].")
    for i, value in enumerate(inputs):
        if not isinstance(value, reader.kinds):
            names = " or ".join(kind.__name__ for kind in reader.kinds)
            raise LabError(f"input {i} is of type {type(value).__name__}; this encoder reads {names}.")

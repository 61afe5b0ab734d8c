"""What CLIP makes of its last hidden states: which position it pools, and the space that texts and images share."""

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import Encoder, Source, encoder_of
from hiddenstates.encoding.inputs.readers import Input, first_position
from hiddenstates.encoding.models.files import load_config, load_model, model_folder

LEGACY = 2
"""`eos_token_id` of configs from before transformers' pull request 24773, with which the largest id is pooled."""


@dataclass(frozen=True)
class Clip:
    """A whole CLIP: its two encoders, and what projects the pooled last state of each (Radford et al. 2021, fig. 3).

    A text is pooled at its end, goes through the text's final norm and the text's projection; an image is pooled at
    its first token, goes through the image's post-norm and the image's projection.

    shared: pairs of parameters, one of each tower, that lie in the same memory
    """

    text: Encoder
    vision: Encoder
    text_head: nn.Sequential
    vision_head: nn.Sequential
    shared: list[tuple[str, str]]

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "text projection"]:
        """The texts in the shared space, scaled to length 1."""
        return _projected(self.text, texts, "eos", self.text_head)

    def embed_images(self, images: Sequence[Path]) -> Float[Tensor, "image projection"]:
        """The images in the shared space, scaled to length 1."""
        return _projected(self.vision, images, "first", self.vision_head)


def load_clip(name: str, revision: str | None = None, max_tokens: int = 77) -> Clip:
    """A whole CLIP, by name as in `load_encoder`."""
    whole, folder = load_whole(name, revision), model_folder(name, revision)
    shared = shared_parameters(whole)  # before its linear layers are packed
    text, vision = (
        encoder_of(Source(name, revision, max_tokens, "float32", part, "cpu"), whole, [], folder)
        for part in ("text", "vision")
    )
    return Clip(
        text,
        vision,
        text_head=nn.Sequential(whole.text_model.final_layer_norm, whole.text_projection),
        vision_head=nn.Sequential(whole.vision_model.post_layernorm, whole.visual_projection),
        shared=shared,
    )


def tied(clip: Clip) -> Clip:
    """The same CLIP, but that the image's layers compute with the text's own weights, to see what that does."""
    configs = (encoder.model.config for encoder in (clip.text, clip.vision))
    sizes = {(c.num_hidden_layers, c.hidden_size, c.intermediate_size) for c in configs}
    if len(sizes) > 1:
        raise LabError("clip: towers of different depth or width cannot be tied. Choose one of equal towers.")
    ours, theirs = (encoder.model.encoder.layers for encoder in (clip.vision, clip.text))
    weighing = {name: module for name, module in theirs.named_modules() if hasattr(module, "weight")}
    # a copy in which the text's own modules stand for the image's; what oneDNN has laid out cannot be copied
    tower = deepcopy(clip.vision.model, {id(ours.get_submodule(name)): module for name, module in weighing.items()})
    mark = f"{clip.vision.fingerprint}+tied"
    return replace(clip, vision=replace(clip.vision, model=tower, fingerprint=mark, source=None))


def load_whole(name: str, revision: str | None = None) -> Any:
    """transformers' CLIPModel, every parameter in it. LabError for any other model, a single tower too."""
    folder = model_folder(name, revision)
    kind = load_config(folder).model_type
    if kind != "clip":
        raise LabError(f"model {name}: a {kind}, not a whole CLIP of two towers and their projections. Name another.")
    return load_model(folder)


def shared_parameters(whole: Any) -> list[tuple[str, str]]:
    """Pairs of parameters, one of the text tower and one of the vision tower, that lie in the same memory."""
    towers = (dict(whole.text_model.named_parameters()), dict(whole.vision_model.named_parameters()))
    places = {parameter.untyped_storage().data_ptr(): name for name, parameter in towers[0].items()}
    found = ((places.get(p.untyped_storage().data_ptr()), name) for name, p in towers[1].items())
    return [(text, vision) for text, vision in found if text]


@torch.inference_mode()
def pooled_position(encoder: Encoder, input_ids: Int[Tensor, "batch position"], attention_mask: Tensor) -> list[int]:
    """The position that CLIP's text tower pools in each row, seen from what it puts out; rows padded on the right."""
    out = encoder.model(input_ids=input_ids, attention_mask=attention_mask)
    same: Bool[Tensor, "batch position"] = (out.last_hidden_state == out.pooler_output[:, None]).all(-1)
    positions: list[int] = first_position(same).tolist()
    return positions


def as_legacy(encoder: Encoder) -> Encoder:
    """The same text tower under a config of old, whose `eos_token_id` is 2: it pools the largest id of a text."""
    tower = copy(encoder.model)  # all but this number stays shared
    tower.eos_token_id = LEGACY
    return replace(encoder, model=tower)


def compared(
    clip: Clip, tied: Clip, images: Sequence[Path], texts: Sequence[str]
) -> dict[str, tuple[Float[Tensor, "image width"], Float[Tensor, "text width"]]]:
    """Images and texts at length 1, in three ways: projected, their pooled last states bare, and with tied towers."""
    bare = (_pooled(clip.vision, images, "first"), _pooled(clip.text, texts, "eos"))
    return {
        "projected, as CLIP does": (clip.embed_images(images), clip.embed_texts(texts)),
        "last states, unprojected": (nn.functional.normalize(bare[0]), nn.functional.normalize(bare[1])),
        "tied towers, projected": (tied.embed_images(images), tied.embed_texts(texts)),
    }


@torch.inference_mode()
def _projected(encoder: Encoder, inputs: Sequence[Input], pooling: str, head: nn.Sequential) -> Tensor:
    vectors: Tensor = head(_pooled(encoder, inputs, pooling))
    return nn.functional.normalize(vectors, dim=-1)


def _pooled(encoder: Encoder, inputs: Sequence[Input], pooling: str) -> Float[Tensor, "item d_model"]:
    """The last hidden state, pooled."""
    ids = [str(i) for i in range(len(inputs))]
    return torch.from_numpy(encoder.pool(ids, inputs, [pooling]).values[pooling][-1])

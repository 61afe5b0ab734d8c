"""A small CLIP (Radford et al. 2021): which view goes with which name, and which two views show the same?

Names alone teach an eye to name: it learns its countries by heart, and of a flag that it never saw it knows nothing. So
it also learns, in turn with the names, to tell flags apart that nobody owns, from pairs of their views.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from transformers import CLIPConfig, CLIPModel, CLIPVisionModel, PreTrainedTokenizerFast

from hiddenstates.core.params import Pretrain
from hiddenstates.pretrain.knowledge import Knowledge
from hiddenstates.pretrain.training import ATTENTION, Course
from hiddenstates.pretrain.views import Pixels, Views, view_pairs

HOTTEST = float(np.log(100))  # of the logit scale, as its authors have it

VIEWS_AT_ONCE = 256  # views

TEMPERATURE = 0.07  # of the contrast of views with views

Names = Mapping[str, Tensor]
Batch = tuple[Pixels, Names | Pixels]
"""Views, and what each goes with: its country's name, as tokens, or another view of the same flag."""


def make_clip(params: Pretrain, tokenizer: PreTrainedTokenizerFast) -> CLIPModel:
    """Random weights, the same ones for the same parameters."""
    size, width = params.clip, params.clip.width
    tower = {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": width // 32}
    tower |= {"num_hidden_layers": size.layers, "projection_dim": width}
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length}
    config = CLIPConfig(
        projection_dim=width,
        text_config=tower | text | ids,
        vision_config=tower | {"image_size": size.image_size, "patch_size": size.patch},
    )
    with torch.random.fork_rng():
        torch.manual_seed(params.seed)
        clip = CLIPModel(config).eval()
    clip.set_attn_implementation(ATTENTION)
    return clip


def vision_tower(clip: Any) -> CLIPVisionModel:
    """The part of it that looks, as a model of its own."""
    vision = CLIPVisionModel(clip.config.vision_config)
    vision.load_state_dict(clip.vision_model.state_dict())
    return vision.eval()


@dataclass(frozen=True)
class Pairs:
    """What goes with what: views with names in rounds, views with views in batches.

    A round shows one view of each train flag that can be told apart, under its country's name; so no batch asks to tell
    two pictures apart that look the same.

    made_up: views of flags that nobody owns; there may be none
    """

    knowledge: Knowledge
    tokenizer: PreTrainedTokenizerFast
    views: Views
    made_up: Float[Tensor, "flag time 3 height width"]
    params: Pretrain

    def course(self) -> Course[CLIPModel, Batch]:
        about = self.params
        return Course("clip", about.epochs, about.clip.rate, about.seed, self.epoch, contrastive_loss)

    def epoch(self, random: np.random.Generator) -> list[Batch]:
        """Some rounds of names and two views of each made-up flag, in random order."""
        batches = self._named(random) + list(view_pairs(self.made_up, self.params.made_up.batch, random))
        return [batches[i] for i in random.permutation(len(batches))]

    def _named(self, random: np.random.Generator) -> list[Batch]:
        """At most as many rounds as a country has views; of a flag that several share, as many of theirs."""
        rows: dict[str, list[int]] = {}  # flag class -> its views
        for i, code in enumerate(self.views.codes):
            rows.setdefault(self.knowledge.world.classes[code][0], []).append(i)
        n_rounds = min(self.params.clip.rounds, *map(len, rows.values()))
        order = np.stack([random.permutation(found)[:n_rounds] for found in rows.values()])
        return [self._round(one) for one in order.T]

    def _round(self, rows: Int[np.ndarray, " row"]) -> Batch:
        names = [self.knowledge.world.by_code[self.views.codes[i]].name for i in rows]
        return self.views.pixels[rows], dict(self.tokenizer(names, padding=True, return_tensors="pt"))


def contrastive_loss(clip: CLIPModel, batch: Batch) -> Tensor:
    """The mean of finding what goes with each view, and of finding each one's view, among those of the batch.

    Views and names as in CLIP (Radford et al. 2021), views and views as in SimCLR (Chen et al. 2020), at a temperature
    that stays.
    """
    pixels, others = batch
    if isinstance(others, Tensor):
        seen = clip.get_image_features(pixel_values=torch.cat([pixels, others])).pooler_output
        views, partners = normalize(seen, dim=-1).chunk(2)
        scores = views @ partners.T / TEMPERATURE
    else:
        with torch.no_grad():
            clip.logit_scale.clamp_(max=HOTTEST)
        scores = clip(pixel_values=pixels, **others).logits_per_image  # view name
    right = torch.arange(len(scores))
    return (cross_entropy(scores, right) + cross_entropy(scores.T, right)) / 2


@torch.inference_mode()
def embed_views(clip: CLIPModel, pixels: Pixels) -> Float32[np.ndarray, "view d"]:
    """In the space that both towers project to, of length 1."""
    parts = [clip.get_image_features(pixel_values=part).pooler_output for part in torch.split(pixels, VIEWS_AT_ONCE)]
    return normalize(torch.cat(parts), dim=-1).numpy()


@torch.inference_mode()
def embed_names(
    clip: CLIPModel, tokenizer: PreTrainedTokenizerFast, names: Sequence[str]
) -> Float32[np.ndarray, "name d"]:
    """In the space that both towers project to, of length 1."""
    features = clip.get_text_features(**tokenizer(list(names), padding=True, return_tensors="pt")).pooler_output
    return normalize(features, dim=-1).numpy()


@torch.inference_mode()
def grid_features(vision: CLIPVisionModel, pixels: Pixels) -> Float[Tensor, "view box feat_dim"]:
    """The last hidden state of each patch, as `encoding.models.boxes.GridBoxes` gives them of files."""
    return torch.cat(
        [vision(pixel_values=part).last_hidden_state[:, 1:] for part in torch.split(pixels, VIEWS_AT_ONCE)]
    )

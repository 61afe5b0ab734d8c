"""A small CLIP (Radford et al. 2021): which view goes with which name?"""

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
from hiddenstates.pretrain.training import Course
from hiddenstates.pretrain.views import Pixels, Views

HOTTEST = float(np.log(100))  # of the logit scale, as its authors have it

AT_ONCE = 256  # views

Batch = tuple[Pixels, Mapping[str, Tensor]]


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
        return CLIPModel(config).eval()


def vision_tower(clip: Any) -> CLIPVisionModel:
    """The part of it that looks, as a model of its own."""
    vision = CLIPVisionModel(clip.config.vision_config)
    vision.load_state_dict(clip.vision_model.state_dict())
    return vision.eval()


@dataclass(frozen=True)
class Pairs:
    """The train views in rounds: each shows one view of each flag that can be told apart, under its country's name.

    So no batch asks to tell two pictures apart that look the same.
    """

    knowledge: Knowledge
    tokenizer: PreTrainedTokenizerFast
    views: Views

    def course(self, params: Pretrain) -> Course[CLIPModel, Batch]:
        return Course("clip", params.epochs, params.clip.rate, params.seed, self.epoch, contrastive_loss)

    def epoch(self, random: np.random.Generator) -> list[Batch]:
        """As many rounds as a country has views; of a flag that several share, as many of theirs."""
        rows: dict[str, list[int]] = {}  # flag class -> its views
        for i, code in enumerate(self.views.codes):
            rows.setdefault(self.knowledge.world.classes[code][0], []).append(i)
        n_rounds = min(len(found) for found in rows.values())
        order = np.stack([random.permutation(found)[:n_rounds] for found in rows.values()])
        return [self._batch(one) for one in order.T]

    def _batch(self, rows: Int[np.ndarray, " row"]) -> Batch:
        names = [self.knowledge.world.by_code[self.views.codes[i]].name for i in rows]
        return self.views.pixels[rows], dict(self.tokenizer(names, padding=True, return_tensors="pt"))


def contrastive_loss(clip: CLIPModel, batch: Batch) -> Tensor:
    """The mean of naming each view and of finding each name's view, among those of the batch."""
    pixels, names = batch
    with torch.no_grad():
        clip.logit_scale.clamp_(max=HOTTEST)
    scores = clip(pixel_values=pixels, **names).logits_per_image  # view name
    right = torch.arange(len(scores))
    return (cross_entropy(scores, right) + cross_entropy(scores.T, right)) / 2


@torch.inference_mode()
def embed_views(clip: CLIPModel, pixels: Pixels) -> Float32[np.ndarray, "view d"]:
    """In the space that both towers project to, of length 1."""
    parts = [clip.get_image_features(pixel_values=part).pooler_output for part in torch.split(pixels, AT_ONCE)]
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
    """The last hidden state of each patch, as `encoding.boxes.GridBoxes` gives them of files."""
    return torch.cat([vision(pixel_values=part).last_hidden_state[:, 1:] for part in torch.split(pixels, AT_ONCE)])

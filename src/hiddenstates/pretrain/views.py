"""Views of flags, as tensors: made once, and never the views that the corpus asks about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil

from hiddenstates.core import draws
from hiddenstates.core.bars import bar
from hiddenstates.core.data import SPLITS
from hiddenstates.core.params import Pretrain
from hiddenstates.corpora.countries.facts import Country
from hiddenstates.corpora.countries.flags import SIZE, read_flag
from hiddenstates.corpora.countries.views import make_view
from hiddenstates.pretrain.knowledge import Knowledge
from hiddenstates.pretrain.made_up import made_up_flag
from hiddenstates.pretrain.many_views import as_sheets, many_views

MEAN, STD = 0.5, 0.25  # of a channel, in [0, 1]

FLAGS_AT_ONCE = 256  # made-up flags

Pixels = Float[Tensor, "view 3 height width"]


@dataclass(frozen=True)
class Views:
    """Pictures and whose flags they show.

    codes:  the country of each view
    pixels: as the vision tower takes them
    """

    codes: Sequence[str]
    pixels: Pixels

    def __len__(self) -> int:
        return len(self.codes)


def draw_views(knowledge: Knowledge, params: Pretrain) -> dict[str, Views]:
    """By name:

    train:    what is trained on, `views.train` of each train country
    dev:      other views of the same countries, by which learning rates are chosen
    held_out: other views again, by which the results are told
    new:      as many views of the countries of dev and test, of which nothing was trained on
    """
    ours, others = knowledge.countries("train"), knowledge.countries(*SPLITS[1:])
    made = {
        "train": (ours, "train", params.views.train),
        "dev": (ours, "dev", params.views.dev),
        "held_out": (ours, "test", params.views.test),
        "new": (others, "test", params.views.test),
    }
    counted = bar(made.items(), "views", unit="sets")
    return {name: _views(countries, purpose, count, params) for name, (countries, purpose, count) in counted}


def flags(countries: Sequence[Country], params: Pretrain) -> Views:
    """The clean flag of each country, at a view's size."""
    size = (params.clip.image_size,) * 2
    pictures = [read_flag(c.code).convert("RGB").resize(size, Image.Resampling.BOX) for c in countries]
    return Views([c.code for c in countries], normalized(pictures))


def image_processor(params: Pretrain) -> CLIPImageProcessorPil:
    """What makes of an image file the pixels that the towers here were trained on."""
    size = {"height": params.clip.image_size, "width": params.clip.image_size}
    return CLIPImageProcessorPil(
        size=size,
        resample=Image.Resampling.BOX,
        do_center_crop=False,
        image_mean=[MEAN] * 3,
        image_std=[STD] * 3,
    )


def made_up_views(params: Pretrain) -> Float[Tensor, "flag time 3 height width"]:
    """Views of flags that nobody owns."""
    about, aspect = params.made_up, SIZE[0] / SIZE[1]
    rng = draws.generator(params.seed, "pretrain", "made up")
    drawn = [made_up_flag(rng) for _ in bar(range(about.flags), "made-up flags", unit="flags")]
    if not drawn:
        return torch.empty(0, about.views, 3, params.clip.image_size, params.clip.image_size)
    parts = [as_sheets(drawn[i : i + FLAGS_AT_ONCE]) for i in range(0, len(drawn), FLAGS_AT_ONCE)]
    seen = [
        torch.cat([many_views(part, aspect, rng, params.clip.image_size) for part in parts]) for _ in range(about.views)
    ]
    return (torch.stack(seen, dim=1) - MEAN) / STD


def view_pairs(
    views: Float[Tensor, "flag time 3 height width"], batch: int, random: np.random.Generator
) -> list[tuple[Pixels, Pixels]]:
    """Two different views of each flag, drawn, in batches of so many flags."""
    n_flags, n_views = views.shape[:2]
    order = random.permutation(n_flags)
    one = random.integers(n_views, size=n_flags)
    other = (one + random.integers(1, n_views, size=n_flags)) % n_views
    parts = [order[i : i + batch] for i in range(0, n_flags, batch)]
    return [(views[part, one[part]], views[part, other[part]]) for part in parts]


def _views(countries: Sequence[Country], purpose: str, count: int, params: Pretrain) -> Views:
    codes = [c.code for c in countries for _ in range(count)]
    drawn = [
        make_view(flag, draws.generator(params.seed, "pretrain", purpose, c.code, i), params.clip.image_size)
        for c in countries
        for flag in [read_flag(c.code)]
        for i in range(count)
    ]
    return Views(codes, normalized(drawn))


def normalized(pictures: Sequence[Image.Image]) -> Pixels:
    bytes_ = np.stack([np.asarray(picture) for picture in pictures])  # view height width 3
    return ((torch.from_numpy(bytes_).float() / 255 - MEAN) / STD).permute(0, 3, 1, 2).contiguous()

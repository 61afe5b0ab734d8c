"""Flags that nobody owns, and many views at once: drawn by a seed, no country's, seen as the corpus's views are."""

import numpy as np
import pytest
import torch
from PIL import Image

from hiddenstates.core.params import MadeUp, Pretrain, SmallCLIP
from hiddenstates.corpora.countries.facts import read_countries
from hiddenstates.corpora.countries.flags import SAME, SIZE, flag_distance, read_flag
from hiddenstates.corpora.countries.views import make_view
from hiddenstates.pretrain.made_up import made_up_flag
from hiddenstates.pretrain.many_views import as_sheets, many_views
from hiddenstates.pretrain.views import made_up_views, view_pairs

PARAMS = Pretrain(made_up=MadeUp(flags=6, views=3, batch=4), clip=SmallCLIP(image_size=16))


def drawn(n: int, seed: int = 0) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    return [made_up_flag(rng) for _ in range(n)]


def test_a_seed_draws_the_same_flags_and_each_is_another() -> None:
    first, again, others = (drawn(50, seed) for seed in (0, 0, 1))
    assert [flag.tobytes() for flag in first] == [flag.tobytes() for flag in again]
    assert len({flag.tobytes() for flag in first + others}) == 100
    assert {(flag.size, flag.mode) for flag in first} == {(SIZE, "RGB")}


def test_hardly_a_made_up_flag_is_a_country_s() -> None:
    """What cannot be told from a real flag would be training on it."""
    real = [read_flag(country.code) for country in read_countries()]
    nearest = [min(flag_distance(flag.convert("RGBA"), other) for other in real) for flag in drawn(100)]
    assert sum(distance < SAME for distance in nearest) <= 3


@pytest.mark.parametrize("code", ["FR", "NP", "CH", "BR"])
def test_many_views_are_the_views_that_make_view_makes(code: str) -> None:
    """Under the same draws: nearer to the same view than to any other."""
    flag = read_flag(code)
    aspect = flag.width / flag.height
    one_by_one = [np.asarray(make_view(flag, np.random.default_rng(seed), 32)) / 255 for seed in range(8)]
    at_once = [many_views(as_sheets([flag]), aspect, np.random.default_rng(seed), 32)[0] for seed in range(8)]
    theirs = np.stack(one_by_one).transpose(0, 3, 1, 2).reshape(8, -1)
    ours = torch.stack(at_once).flatten(1).numpy()
    apart = np.abs(ours[:, None] - theirs[None]).mean(-1)
    assert (apart.argmin(1) == np.arange(8)).all()
    assert np.diag(apart).max() < 0.06


def test_a_view_of_many_is_the_view_alone() -> None:
    """Each flag is bent, blurred and lit by its own draws."""
    flags = [read_flag(code) for code in ("FR", "JP", "US")]
    noiseless = many_views(as_sheets(flags), 16 / 11, np.random.default_rng(0), 32)
    swapped = many_views(as_sheets(flags[::-1]), 16 / 11, np.random.default_rng(0), 32)
    torch.testing.assert_close(noiseless[1], swapped[1])
    assert not torch.allclose(noiseless[0], swapped[0])


def test_each_flag_is_seen_several_times_and_none_is_no_error() -> None:
    views = made_up_views(PARAMS)
    assert views.shape == (6, 3, 3, 16, 16)
    assert torch.equal(views, made_up_views(PARAMS))
    assert float((views[:, 0] - views[:, 1]).abs().mean()) > 0.1
    nothing = PARAMS.model_copy(update={"made_up": MadeUp(flags=0)})
    assert made_up_views(nothing).shape == (0, 4, 3, 16, 16)


def test_a_pair_is_two_views_of_one_flag() -> None:
    numbered = torch.arange(6.0)[:, None, None, None, None] * 10 + torch.arange(3.0)[None, :, None, None, None]
    pairs = view_pairs(numbered.expand(6, 3, 3, 1, 1), 4, np.random.default_rng(0))
    one, other = (torch.cat(side)[:, 0, 0, 0] for side in zip(*pairs, strict=True))
    assert [len(first) for first, _ in pairs] == [4, 2]
    assert sorted(one.div(10, rounding_mode="floor").tolist()) == list(range(6))
    assert (one // 10 == other // 10).all()
    assert (one != other).all()


def test_clip_must_learn_something() -> None:
    with pytest.raises(ValueError, match=r"made_up\.flags and clip\.rounds are both 0"):
        Pretrain(made_up=MadeUp(flags=0), clip=SmallCLIP(rounds=0))

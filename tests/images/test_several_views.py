"""Several views of stored pictures: their mean, made by names and seeds alone; the best of all."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from tiny import save_image, save_tiny

from hiddenstates.core import draws
from hiddenstates.core.images import read_image
from hiddenstates.core.relevance import Run
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.embeddings.pooled import PooledStates
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.images import several
from hiddenstates.images.several import KINDS, best_of, crop, several_views

NAMES = ["a.png", "b.png", "c.png"]
STRATEGY = Strategy.parse("-1/first")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("clip"), "clip")), part="vision")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        save_image(tmp_path / name, seed, size=(40, 30))
    return tmp_path


def clean(encoder: Encoder, root: Path, names: list[str] = NAMES) -> PooledStates:
    return encoder.pool(names, [root / name for name in names], ["first", "mean"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_of_views_is_the_mean_of_their_states(kind: str, encoder: Encoder, root: Path, tmp_path: Path) -> None:
    stored = clean(encoder, root)
    found = several_views(encoder, root, stored, STRATEGY, [1, 3], kind, seed=7)
    side = max(dict(encoder.reader.processor.size).values())  # type: ignore[attr-defined]
    views = [tmp_path / f"view{number}.png" for number in range(3)]
    for number, path in enumerate(views):
        random = draws.generator("view", 7, kind, number, "b.png")
        KINDS[kind](read_image(root / "b.png"), random, side).save(path)
    states = encoder.pool(["0", "1", "2"], views, ["first", "mean"])
    assert list(found.means) == [1, 3]
    assert found.means[3].ids == NAMES
    for pool in ("first", "mean"):
        assert_allclose(found.means[1].values[pool][:, 1], states.values[pool][:, 0], atol=1e-6)
        assert_allclose(found.means[3].values[pool][:, 1], states.values[pool].mean(1), atol=1e-6)
    assert_allclose(found.each[2].vectors[1], states.embed(STRATEGY).vectors[2], atol=1e-6)


def test_other_pictures_beside_it_and_smaller_parts_change_no_view(
    encoder: Encoder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = several_views(encoder, root, clean(encoder, root), STRATEGY, [2], "camera", seed=0).means[2]
    monkeypatch.setattr(several, "PICTURES_AT_ONCE", 2)
    parts = several_views(encoder, root, clean(encoder, root), STRATEGY, [2], "camera", seed=0).means[2]
    alone = several_views(encoder, root, clean(encoder, root, ["c.png"]), STRATEGY, [2], "camera", seed=0).means[2]
    assert_allclose(parts.values["first"], whole.values["first"], atol=1e-6)
    assert_allclose(alone.values["first"][:, 0], whole.values["first"][:, 2], atol=1e-6)


def test_no_count_is_no_view(encoder: Encoder, root: Path) -> None:
    found = several_views(encoder, root, clean(encoder, root), STRATEGY, [], "camera", seed=0)
    assert (found.means, found.each) == ({}, [])


def test_a_picture_scores_as_the_best_of_its_views() -> None:
    one = Run({"q": {"a": 0.1, "b": 0.5}, "r": {"a": 0.3, "b": 0.2}})
    two = Run({"q": {"a": 0.4, "b": 0.2}, "r": {"a": 0.1, "b": 0.1}})
    assert best_of([one, two]).rows == {"q": {"a": 0.4, "b": 0.5}, "r": {"a": 0.3, "b": 0.2}}
    assert best_of([one]).rows == one.rows


def test_a_crop_lies_within_the_picture() -> None:
    """Of a picture that is red on its left and blue on its right: both in order, and no other colour."""
    pixels = np.zeros((60, 120, 3), dtype=np.uint8)
    pixels[:, :60, 0] = pixels[:, 60:, 2] = 200
    for seed in range(10):
        seen = np.asarray(crop(Image.fromarray(pixels), np.random.default_rng(seed), 32))
        assert seen.shape == (32, 32, 3)
        assert_array_equal(seen[..., 1], 0)
        red = seen[..., 0].mean(0)
        assert (np.diff(red.astype(int)) <= 12).all()  # never mirrored; bicubic overshoots a little

"""Images embedded once and stored, or each time by name: the same vectors; faults marked; a killed run goes on."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from passes import watch_passes
from tiny import save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, KnowledgeBase, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.strategy import Strategy
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.images import features
from hiddenstates.images.features import ImageFeatures, embed_by_name, embed_images

POOLINGS = ["first", "patches"]
IMAGES = ["b.png", "a.png", "copy.png", "", "broken.png", "missing.png", "b.png", "huge.png", "c.png"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(str(save_tiny(tmp_path_factory.mktemp("clip"), "clip")), part="vision")


@pytest.fixture
def kb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnowledgeBase:
    """Nine passages: two share a file, one has a copy of another's, three have images that cannot be read."""
    root = tmp_path / "images"
    root.mkdir()
    for seed, name in enumerate("abc"):
        save_image(root / f"{name}.png", seed)
    shutil.copy(root / "a.png", root / "copy.png")
    (root / "broken.png").write_bytes(b"\x89PNG and no more")
    save_image(root / "huge.png", 9, size=(40, 30))
    monkeypatch.setattr("hiddenstates.core.images.MAX_PIXELS", 1000)
    passages = table([{"id": f"p{i}", "image": name} for i, name in enumerate(IMAGES)], PASSAGE_COLUMNS)
    return KnowledgeBase(passages, root, "test")


@pytest.fixture
def shards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Shards of two images; how many each pass of the encoder read."""
    read: list[int] = []
    watch_passes(monkeypatch, lambda inputs: read.append(len(inputs)))
    monkeypatch.setattr(features, "IMAGES_PER_FILE", 2)
    return read


def test_each_content_is_embedded_once_and_faults_are_marked(
    encoder: Encoder, kb: KnowledgeBase, tmp_path: Path, shards: list[int]
) -> None:
    made = embed_images(encoder, kb, POOLINGS, tmp_path / "shards")
    assert made.states.ids == ["b.png", "a.png", "c.png"]
    assert made.names == {"b.png": "b.png", "a.png": "a.png", "copy.png": "a.png", "c.png": "c.png"}
    assert shards == [2, 1]
    assert made.rows(IMAGES).tolist() == [0, 1, 1, -1, -1, -1, 0, -1, 2]
    assert made.faults["missing.png"].startswith("missing.png: no such image. Put the file there")
    assert made.faults["broken.png"].startswith("broken.png: a broken image")
    assert made.faults["huge.png"].startswith("huge.png: an image of more than 0.001 megapixels")
    assert made.faults.keys() == set(IMAGES) - {""} - made.names.keys()


def test_both_ways_give_the_same_vectors(encoder: Encoder, kb: KnowledgeBase, tmp_path: Path) -> None:
    stored = embed_images(encoder, kb, POOLINGS, tmp_path / "shards").of_items(kb.ids, IMAGES)
    sound = [0, 1, 2, 3, 6, 8]
    now = embed_by_name(encoder, kb.images, [kb.ids[i] for i in sound], [IMAGES[i] for i in sound], POOLINGS)
    assert stored.ids == now.ids == ["p0", "p1", "p2", "p6", "p8"]
    for pool in POOLINGS:
        assert_array_equal(stored.values[pool], now.values[pool])
    strategy = Strategy.parse("concat(1,2)/patches")
    assert_array_equal(stored.embed(strategy).vectors, now.embed(strategy).vectors)
    alone = embed_by_name(encoder, kb.images, ["p8"], ["c.png"], POOLINGS).values["patches"]
    assert_allclose(alone, stored.values["patches"][:, -1:], rtol=0, atol=1e-5)  # sums of another batch size
    assert not np.array_equal(now.values["first"][-1, 0], now.values["first"][-1, 1])
    with pytest.raises(LabError, match=r"broken\.png: a broken image"):
        embed_by_name(encoder, kb.images, kb.ids, IMAGES, POOLINGS)


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    encoder: Encoder, kb: KnowledgeBase, tmp_path: Path, shards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    embed_images(encoder, kb, POOLINGS, tmp_path / "whole").save(tmp_path / "expected")
    counting = Encoder.pool

    def killed(*args: Any) -> Any:
        if len(shards) == 3:  # two of the whole run, and the first of this
            raise KeyboardInterrupt
        return counting(*args)

    monkeypatch.setattr(Encoder, "pool", killed)
    with pytest.raises(KeyboardInterrupt):
        embed_images(encoder, kb, POOLINGS, tmp_path / "shards")
    monkeypatch.setattr(Encoder, "pool", counting)
    embed_images(encoder, kb, POOLINGS, tmp_path / "shards").save(tmp_path / "found")
    assert shards[3:] == [1]  # the first shard was there
    for name in ("states.safetensors", "images.json"):
        assert (tmp_path / "found" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    assert list((tmp_path / "shards").glob("*.partial")) == []


def test_a_damaged_shard_and_another_encoder_s_are_made_again(
    encoder: Encoder, kb: KnowledgeBase, tmp_path: Path, shards: list[int]
) -> None:
    made = embed_images(encoder, kb, POOLINGS, tmp_path / "shards")
    next(path for path in (tmp_path / "shards").iterdir() if path.stat().st_size > 2000).write_bytes(b"half of i")
    again = embed_images(encoder, kb, POOLINGS, tmp_path / "shards")
    assert_array_equal(again.states.values["patches"], made.states.values["patches"])
    assert len(shards) == 2 + 1
    embed_images(encoder, kb, ["first"], tmp_path / "shards")
    other = load_encoder(str(save_tiny(tmp_path / "other", "clip", projection_dim=8)), part="vision")
    embed_images(other, kb, POOLINGS, tmp_path / "shards")
    assert len(shards) == 3 + 2 + 2


def test_a_file_with_new_content_is_embedded_again(
    encoder: Encoder, kb: KnowledgeBase, tmp_path: Path, shards: list[int]
) -> None:
    embed_images(encoder, kb, POOLINGS, tmp_path / "shards")
    save_image(kb.images / "missing.png", 5)
    made = embed_images(encoder, kb, POOLINGS, tmp_path / "shards")
    assert made.names["missing.png"] == "missing.png"
    assert shards == [2, 1, 2]  # not the shard before it


def test_features_are_saved_whole_and_come_back(encoder: Encoder, kb: KnowledgeBase, tmp_path: Path) -> None:
    made = embed_images(encoder, kb, POOLINGS, tmp_path / "shards")
    made.save(tmp_path / "features")
    back = ImageFeatures.load(tmp_path / "features")
    assert (back.names, back.faults, back.states.ids) == (made.names, made.faults, made.states.ids)
    assert_array_equal(back.states.values["first"], made.states.values["first"])
    (tmp_path / "features" / "images.json").write_text("{}")
    with pytest.raises(LabError, match=r"features: no image features can be read from it .* Run the stage `images`"):
        ImageFeatures.load(tmp_path / "features")
    with pytest.raises(LabError, match="no pooled states can be read"):
        ImageFeatures.load(tmp_path / "elsewhere")


def test_an_image_that_the_features_were_not_made_of_is_named(
    encoder: Encoder, kb: KnowledgeBase, tmp_path: Path
) -> None:
    made = embed_images(encoder, kb, POOLINGS, tmp_path / "shards")
    with pytest.raises(LabError, match=r"images: no features of 'new\.png', an image they were not made of\. Run"):
        made.rows(["a.png", "new.png"])


def test_of_no_images_there_are_no_features(encoder: Encoder, kb: KnowledgeBase, tmp_path: Path) -> None:
    bare = KnowledgeBase(kb.passages.select([3]), kb.images, "test")
    made = embed_images(encoder, bare, POOLINGS, tmp_path / "shards")
    assert (made.states.ids, made.names, made.faults) == ([], {}, {})
    assert made.of_items(bare.ids, [""]).values["first"].shape == (4, 0, 32)


def test_an_encoder_of_texts_is_refused(kb: KnowledgeBase, tmp_path: Path) -> None:
    texts = load_encoder(str(save_tiny(tmp_path / "bert")))
    with pytest.raises(LabError, match="this encoder reads str"):
        embed_images(texts, kb, POOLINGS, tmp_path / "shards")

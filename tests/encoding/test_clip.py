import json
from pathlib import Path

import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from tiny import save_image, save_tiny
from transformers import AutoImageProcessor, AutoModel

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.clip import (
    Clip,
    as_legacy,
    compared,
    load_clip,
    load_whole,
    pooled_position,
    shared_parameters,
    tied,
)
from hiddenstates.encoding.encoder import load_encoder

TEXTS = ["the flag of france", "bern", "red river city"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny(tmp_path_factory.mktemp("clip"), "clip")
    for i in range(3):
        save_image(folder / f"{i}.png", seed=i)
    return folder


@pytest.fixture(scope="module")
def clip(folder: Path) -> Clip:
    return load_clip(str(folder))


def test_projected_texts_are_clip_s_own(clip: Clip, folder: Path) -> None:
    batch = clip.text.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        features = AutoModel.from_pretrained(folder).get_text_features(batch["input_ids"], batch["attention_mask"])
    expected = torch.nn.functional.normalize(features.pooler_output, dim=-1)
    assert_allclose(clip.embed_texts(TEXTS), expected, rtol=1e-4, atol=1e-5)
    assert str(clip.text.baseline) == "published: CLIP's features"
    assert_allclose((clip.text.encode(TEXTS).vectors * expected.numpy()).sum(1), 1, atol=1e-6)
    assert_allclose(load_encoder(str(folder), part="text").encode(TEXTS).vectors, expected, rtol=1e-4, atol=1e-5)


def test_projected_images_are_clip_s_own(clip: Clip, folder: Path) -> None:
    paths = [folder / f"{i}.png" for i in range(3)]
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(
        [Image.open(p) for p in paths], return_tensors="pt"
    )
    with torch.inference_mode():
        features = AutoModel.from_pretrained(folder).get_image_features(pixels["pixel_values"])
    expected = torch.nn.functional.normalize(features.pooler_output, dim=-1)
    assert_allclose(clip.embed_images(paths), expected, rtol=1e-4, atol=1e-5)
    assert str(clip.vision.baseline.strategy) == "-1/first+head"
    assert_allclose((clip.vision.encode(paths).vectors * expected.numpy()).sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("part", ["text", "vision"])
def test_a_tower_alone_publishes_its_pooled_output(tmp_path: Path, part: str) -> None:
    folder = save_tiny(tmp_path, f"clip_{part}_model")
    encoder, whole = load_encoder(str(folder)), AutoModel.from_pretrained(folder)
    inputs = TEXTS if part == "text" else [save_image(tmp_path / f"{i}.png", seed=i) for i in range(3)]
    batch = encoder.reader.batch(encoder.reader.rows(inputs))
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(whole(**batch.arguments).pooler_output, dim=-1)
    assert_allclose((encoder.encode(inputs).vectors * expected.numpy()).sum(1), 1, atol=1e-6)
    assert str(encoder.baseline) == "published: CLIP's tower"


def test_a_tower_saved_with_its_projection_says_that_it_is_left_out(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path, "clip_vision_model")
    about = json.loads((folder / "config.json").read_text("utf-8"))
    about["architectures"] = ["CLIPVisionModelWithProjection"]
    (folder / "config.json").write_text(json.dumps(about), "utf-8")
    assert "published is another, with a projection" in str(load_encoder(str(folder)).baseline)


def test_clip_pools_the_first_end_of_text(clip: Clip) -> None:
    ids = torch.tensor([[2, 9, 3, 0, 0], [2, 5, 3, 9, 3]])  # 3 is [SEP], the end
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    assert pooled_position(clip.text, ids, mask) == [2, 2]
    states = clip.text.states_of(ids, mask)
    assert states.eos is not None
    assert states.eos.tolist() == [2, 2]


def test_without_an_end_of_text_clip_silently_pools_the_start(clip: Clip) -> None:
    ids = torch.tensor([[2, 9, 5]])
    assert pooled_position(clip.text, ids, torch.ones_like(ids)) == [0]


def test_a_legacy_config_pools_the_largest_id_an_added_token_for_one(clip: Clip) -> None:
    ids = torch.tensor([[1, 0, 1, 3, 0], [1, 99, 1, 3, 0]])  # nothing above the end in the first
    mask = torch.tensor([[1, 1, 1, 1, 0]] * 2)
    assert pooled_position(as_legacy(clip.text), ids, mask) == [3, 1]
    assert pooled_position(clip.text, ids, mask) == [3, 3]  # the original is as it was


def test_the_towers_share_nothing_unless_someone_shares_it(folder: Path) -> None:
    whole = load_whole(str(folder))
    assert shared_parameters(whole) == load_clip(str(folder)).shared == []
    whole.vision_model.post_layernorm.weight = whole.text_model.final_layer_norm.weight
    assert shared_parameters(whole) == [("final_layer_norm.weight", "post_layernorm.weight")]


def test_tied_the_image_s_layers_compute_what_the_text_s_do(folder: Path, clip: Clip) -> None:
    one = tied(clip)
    x = torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        text, vision = (e.model.encoder.layers[1](x, None, is_causal=False) for e in (one.text, one.vision))
    assert torch.equal(text, vision)
    assert_allclose(one.embed_texts(TEXTS), clip.embed_texts(TEXTS), rtol=1e-6)
    assert one.vision.fingerprint == f"{clip.vision.fingerprint}+tied"
    assert not torch.allclose(one.embed_images([folder / "0.png"]), clip.embed_images([folder / "0.png"]))


def test_what_is_tied_leaves_the_original_as_it_was(folder: Path) -> None:
    clip, images = load_clip(str(folder)), [folder / "0.png"]
    before = clip.embed_images(images)  # transformers hangs its hooks on a tower as it runs for the first time
    expected = tied(clip).embed_images(images)
    assert torch.equal(clip.embed_images(images), before)
    assert torch.equal(tied(load_clip(str(folder))).embed_images(images), expected)


def test_the_first_token_of_clip_s_text_is_a_constant(folder: Path) -> None:
    encoder = load_encoder(str(folder), part="text", max_tokens=77)
    first = encoder.pool(["a", "b", "c"], TEXTS, ["first"]).values["first"]
    assert_allclose(first, first[:, :1].repeat(3, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["clip_text_model", "bert"])
def test_a_single_tower_has_no_shared_space(tmp_path: Path, kind: str) -> None:
    with pytest.raises(LabError, match=rf"a {kind}, not a whole CLIP of two towers and their projections\. Name"):
        load_clip(str(save_tiny(tmp_path, kind)))


def test_unequal_towers_cannot_be_tied(tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    save_tiny(tmp_path, "clip", vision_config=sizes | {"image_size": 12, "patch_size": 4})
    with pytest.raises(LabError, match=r"clip: towers of different depth or width cannot be tied\. Choose one"):
        tied(load_clip(str(tmp_path)))


def test_three_ways_to_compare_images_and_texts(clip: Clip, tmp_path: Path) -> None:
    images = [save_image(tmp_path / f"{i}.png", seed=i) for i in range(2)]
    ways = compared(clip, tied(clip), images, ["red", "bern", "paris"])
    assert all((len(seen), len(read)) == (2, 3) for seen, read in ways.values())
    assert all(torch.allclose(v.norm(dim=-1), torch.ones(len(v))) for pair in ways.values() for v in pair)
    as_is, bare, changed = ways.values()
    assert torch.equal(as_is[0], clip.embed_images(images))
    assert torch.equal(as_is[1], changed[1])  # it is the image's tower that changes
    assert not torch.allclose(as_is[0], changed[0])
    assert (as_is[1].shape[1], bare[1].shape[1]) == (16, 32)  # the projection, d_model

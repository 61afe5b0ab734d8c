"""Any model that sees: towers of two, models of one, with a class token, with registers, or with patches alone."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tiny import save_image, save_tiny

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inspection.small import save_small
from hiddenstates.images import maps
from hiddenstates.images.eye import load_eye, poolings_of
from hiddenstates.images.maps import Example, patch_maps

ASKED = ["first", "patches", "mean", "max"]
EYES = {  # model type -> the poolings that are left, and what is pooled of the published embedding
    "clip": (ASKED, "-1/first+head"),
    "siglip": (["mean", "max", "own"], "-1/own"),
    "siglip_vision_model": (["mean", "max", "own"], "-1/own"),
    "dinov2": (ASKED, "-1/mean"),
    "dinov2_with_registers": (ASKED, "-1/mean"),
    "vit": (ASKED, "-1/mean"),
}


@pytest.fixture(scope="module", params=EYES)
def eye(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Encoder]:
    folder = tmp_path_factory.mktemp(request.param)
    save_small(folder, request.param)
    return request.param, load_eye(str(folder))


def test_it_is_asked_for_what_it_can_do_and_for_what_is_published(eye: tuple[str, Encoder]) -> None:
    kind, encoder = eye
    assert (poolings_of(encoder, ASKED), str(encoder.baseline.strategy)) == EYES[kind]


def test_it_embeds_pictures_under_all_of_them(eye: tuple[str, Encoder], tmp_path: Path) -> None:
    _, encoder = eye
    files = [save_image(tmp_path / f"{i}.png", seed=i, size=(40, 30)) for i in range(2)]
    pools = poolings_of(encoder, ASKED)
    states = encoder.pool(["a", "b"], files, pools)
    assert set(states.values) == set(pools)
    vectors = states.embed(encoder.baseline.strategy).vectors
    assert np.isfinite(vectors).all()
    assert not np.allclose(vectors[0], vectors[1])


def test_its_maps_are_the_square_of_its_patches(eye: tuple[str, Encoder], tmp_path: Path) -> None:
    """Registers and class tokens are no patches: the last positions are."""
    kind, encoder = eye
    question, picture = (save_image(tmp_path / f"{i}.png", seed=i, size=(40, 30)) for i in range(2))
    boxes = load_encoder(str(save_tiny(tmp_path / "vlt5", "vlt5")))
    found = patch_maps(encoder, boxes, Example("the flag", question, picture)).maps
    assert ("the class token's\nattention" in found) == (not kind.startswith("siglip"))
    side = 4  # 32 pixels, patches of 8
    assert {values.shape for name, values in found.items() if "VL-T5" not in name} == {(side, side)}
    ours, theirs = (encoder.states([path]).values[-1, 0, -(side**2) :].numpy() for path in (question, picture))
    mean = theirs.mean(0)
    cosine = ours[5] @ mean / np.linalg.norm(ours[5]) / np.linalg.norm(mean)
    assert_allclose(maps.patch_similarity(encoder, question, picture)[1, 1], cosine, rtol=1e-4)


def test_a_model_that_reads_texts_is_no_eye(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"images\.model: .* reads no images alone"):
        load_eye(str(save_tiny(tmp_path / "bert")))

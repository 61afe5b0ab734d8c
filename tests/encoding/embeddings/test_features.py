"""SigLIP's published embedding is what its own class gives. (CLIP's: test_clip.py)"""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from tiny import save_image, save_tiny
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from hiddenstates.core.errors import LabError
from hiddenstates.encoding.encoder import load_encoder

TEXTS = ["the flag of france", "bern", "red river city", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("siglip"), "siglip")


def cosines(ours: np.ndarray, theirs: torch.Tensor) -> np.ndarray:
    expected: np.ndarray = torch.nn.functional.normalize(theirs, dim=-1).numpy()
    found: np.ndarray = (ours * expected).sum(1)
    return found


def test_texts_are_siglip_s_own(folder: Path) -> None:
    batch = AutoTokenizer.from_pretrained(folder)(TEXTS, padding="max_length", max_length=16, return_tensors="pt")
    with torch.inference_mode():  # as its documentation says: filled up, and without a mask
        features = AutoModel.from_pretrained(folder).get_text_features(batch["input_ids"])
    encoder = load_encoder(str(folder), part="text")
    assert (str(encoder.baseline), str(encoder.baseline.strategy)) == ("published: SigLIP's features", "-1/last+head")
    assert_allclose(cosines(encoder.encode(TEXTS).vectors, features.pooler_output), 1, atol=1e-6)
    assert {len(ids) for ids in encoder.tokenize(TEXTS)} == {16}


def test_images_are_siglip_s_own(folder: Path) -> None:
    paths = [save_image(folder / f"{i}.png", seed=i) for i in range(3)]
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(
        [Image.open(p) for p in paths], return_tensors="pt"
    )
    with torch.inference_mode():
        features = AutoModel.from_pretrained(folder).get_image_features(pixels["pixel_values"])
    encoder = load_encoder(str(folder), part="vision")
    assert str(encoder.baseline.strategy) == "-1/own"
    assert_allclose(cosines(encoder.encode(paths).vectors, features.pooler_output), 1, atol=1e-6)


def test_a_model_without_a_pooler_has_no_own(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path)))
    with pytest.raises(LabError, match=r"no pooling own: it pools with no weights of its own\. Choose among first"):
        encoder.pool(["a"], ["bern"], ["own"])

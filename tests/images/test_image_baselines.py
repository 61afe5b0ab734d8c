"""What a vision model's hidden states must beat."""

from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose
from PIL import Image
from tiny import save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.relevance import Qrels
from hiddenstates.encoding.clip import load_clip
from hiddenstates.images.baselines import ONLY, embedded_by, pixel_states
from hiddenstates.images.eye import load_eye


def task_of(folder: Path, passages: list[str], queries: list[str]) -> Task:
    """A search of images by images, nothing judged."""
    rows = [[{"id": name, "image": name} for name in names] for names in (passages, queries)]
    kb = KnowledgeBase(table(rows[0], PASSAGE_COLUMNS), folder, "test")
    return Task(kb, table(rows[1], QUERY_COLUMNS), Qrels({}))


def test_pixels_correlate_whatever_the_light(tmp_path: Path) -> None:
    dark = np.zeros((4, 4, 3), dtype=np.uint8)
    dark[:, 2:] = 100
    pictures = {"dark": dark, "light": dark + 50, "turned": dark[:, ::-1], "grey": np.full_like(dark, 90)}
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    states = pixel_states(task_of(tmp_path, ["dark.png", "turned.png", "grey.png"], ["light.png"]), side=4)
    cosines = states.passages.embed(ONLY).vectors @ states.queries.embed(ONLY).vectors[0]
    # the same edge in other light, the same edge mirrored, no edge at all: the constant beside the pixels is all it has
    assert_allclose(cosines, [1, -1, 0], atol=1e-2)
    assert states.passages.values["whole"].shape == (1, 3, 4 * 4 * 3 + 1)


def test_another_eye_s_embedding_is_what_its_features_are(tmp_path: Path) -> None:
    for i in range(3):
        save_image(tmp_path / f"{i}.png", seed=i)
    folder = str(save_tiny(tmp_path / "clip", "clip"))
    eye = load_eye(folder)
    states = embedded_by(eye, task_of(tmp_path, ["0.png", "1.png"], ["2.png"]))
    assert (states.passages.ids, states.queries.ids) == (["0.png", "1.png"], ["2.png"])
    expected = load_clip(folder).embed_images([tmp_path / "0.png", tmp_path / "1.png"]).numpy()
    vectors = states.passages.embed(eye.baseline.strategy).vectors
    assert_allclose(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), expected, rtol=1e-4, atol=1e-6)

"""What the parts of an image say, drawn where they lie."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from tiny import save_image, save_tiny
from torch.nn.functional import cosine_similarity
from transformers import AutoModel

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels
from hiddenstates.encoding.encoder import Encoder, load_encoder
from hiddenstates.encoding.inputs.readers import TextImage
from hiddenstates.images import maps
from hiddenstates.images.maps import Example, examples, patch_maps


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("maps")
    save_tiny(root / "clip", "clip")
    save_tiny(root / "vlt5", "vlt5")
    for i in range(3):
        save_image(root / f"{i}.png", seed=i, size=(12, 12))
    return root


@pytest.fixture(scope="module")
def clip(root: Path) -> Encoder:
    return load_encoder(str(root / "clip"), part="vision")


@pytest.fixture(scope="module")
def vlt5(root: Path) -> Encoder:
    return load_encoder(str(root / "vlt5"))


def test_an_image_is_shown_as_the_encoder_gets_it(clip: Encoder, root: Path) -> None:
    with Image.open(root / "0.png") as picture:
        pixels = np.asarray(picture.convert("RGB")) / 255  # 12 x 12 already: nothing is cut off
    assert_allclose(maps.as_seen(clip, root / "0.png"), pixels, atol=1e-5)


def test_the_class_token_s_attention_is_the_model_s_own(clip: Encoder, root: Path) -> None:
    found = maps.class_attention(clip, root / "0.png")
    eager = AutoModel.from_pretrained(root / "clip", attn_implementation="eager").eval().vision_model
    batch = clip.reader.batch(clip.reader.rows([root / "0.png"]))
    with torch.inference_mode():
        attention = eager(**batch.arguments, output_attentions=True).attentions[-1][0, :, 0, 1:].mean(0)
    assert_allclose(found, (attention / attention.sum()).reshape(3, 3), rtol=1e-4)
    assert clip.model.config._attn_implementation == "sdpa"  # as it was


def test_a_patch_is_compared_with_the_other_image_s_mean_patch(clip: Encoder, root: Path) -> None:
    found = maps.patch_similarity(clip, root / "0.png", root / "1.png")
    ours, theirs = (clip.states([root / f"{i}.png"]).values[-1, 0] for i in (0, 1))
    expected = cosine_similarity(ours[1 + 3 * 1 + 2], theirs[1:].mean(0), dim=0)  # second row, third column
    assert_allclose(found[1, 2], expected, rtol=1e-5)


def test_a_box_is_compared_with_the_question_that_is_read_beside_it(vlt5: Encoder, root: Path) -> None:
    found = maps.box_similarity(vlt5, "the flag", root / "0.png")
    states = vlt5.states([TextImage("the flag", root / "0.png")]).values[-1, 0]  # "the", "flag", the end, nine boxes
    assert_allclose(found[0, 1], cosine_similarity(states[3 + 1], states[:3].mean(0), dim=0), rtol=1e-5)


def test_the_three_maps_of_a_question(clip: Encoder, vlt5: Encoder, root: Path) -> None:
    made = patch_maps(clip, vlt5, Example("the flag", root / "0.png", root / "1.png"))
    assert made.seen.shape == (12, 12, 3)
    assert [cells.shape for cells in made.maps.values()] == [(3, 3)] * 3
    assert_array_equal(
        made.maps["VL-T5: box and question,\ncosine"], maps.box_similarity(vlt5, "the flag", root / "0.png")
    )


def test_an_encoder_of_the_wrong_kind_is_refused(clip: Encoder, vlt5: Encoder, root: Path) -> None:
    with pytest.raises(LabError, match=r"vlt5: this part of it reads no images\. Load the part vision"):
        maps.class_attention(vlt5, root / "0.png")
    with pytest.raises(LabError, match=r"clip: it reads no boxes beside a text\. Name a VL-T5 or VL-BART"):
        maps.box_similarity(clip, "the flag", root / "0.png")


def test_examples_are_test_questions_that_find_an_image(root: Path) -> None:
    passages = [{"id": f"p{i}", "image": f"{i}.png"} for i in range(3)] + [{"id": "bare"}]
    rows = [(f"q{i}", f"v{i}.png", split) for i, split in enumerate(["test", "dev", "test", "test", "test"])]
    queries = [{"id": id, "image": image, "split": split, "text": f"which {id}"} for id, image, split in rows]
    qrels = {"q0": {"p1": 1.0}, "q1": {"p0": 1.0}, "q2": {"bare": 1.0}, "q3": {"p2": 0.0, "p0": 1.0}, "q4": {"p1": 1.0}}
    kb = KnowledgeBase(table(passages, PASSAGE_COLUMNS), root, "r")
    task = Task(kb, table(queries, QUERY_COLUMNS), Qrels(qrels))
    sound = {"0.png", "1.png", *(f"v{i}.png" for i in range(5))}
    found = examples(task, 9, sound)
    assert list(found) == ["v0.png", "v3.png", "v4.png"]  # q1 is dev's, q2 finds no image
    assert found["v3.png"] == Example("which q3", root / "v3.png", root / "0.png")
    assert list(examples(task, 1, sound)) == ["v0.png"]
    assert list(examples(task, 9, sound - {"v3.png", "1.png"})) == []
    assert examples(replace(task, qrels=Qrels({q: {} for q in qrels})), 2, sound) == {}

"""Encoders that a corpus has something for, those that are left out and why, and what of the texts is cut."""

from pathlib import Path

import pytest
from tiny import save_image, save_tiny

from hiddenstates.core.data import PASSAGE_COLUMNS, QUERY_COLUMNS, KnowledgeBase, Task, table
from hiddenstates.core.errors import LabError
from hiddenstates.core.relevance import Qrels
from hiddenstates.core.stage import NOTHING
from hiddenstates.encoding.encoder import load_encoder
from hiddenstates.encoding.inspection.cutting import cuts, cuts_of_task
from hiddenstates.encoding.lineup import LEFT_OUT, load_lineup, write_left_out


def task(folder: Path, image: str = "") -> Task:
    passages = table([{"id": "p0", "text": "red " * 9, "image": image}, {"id": "p1", "text": "blue"}], PASSAGE_COLUMNS)
    queries = table([{"id": "q0", "text": "red", "image": image}], QUERY_COLUMNS)
    return Task(KnowledgeBase(passages, folder, "r"), queries, Qrels({"q0": {"p0": 1.0}}))


def test_an_encoder_of_images_is_left_out_of_a_corpus_without_pictures(tmp_path: Path) -> None:
    sources = {"text": {"model": str(save_tiny(tmp_path / "bert"))}}
    sources |= {"eye": {"model": str(save_tiny(tmp_path / "vision", "clip_vision_model"))}}
    loaded, why = load_lineup(sources, task(tmp_path), tmp_path / "models")
    assert list(loaded) == ["text"]
    assert why == {
        "eye": "It reads images, and no passage and no question of this corpus has one. "
        "Name an encoder of texts instead."
    }
    write_left_out(tmp_path / "pooled", why)
    assert (tmp_path / "pooled" / "eye" / LEFT_OUT).read_text("utf-8") == why["eye"] + "\n"
    save_image(tmp_path / "a.png", seed=0)
    assert list(load_lineup(sources, task(tmp_path, "a.png"), tmp_path / "models")[0]) == ["text", "eye"]


def test_what_the_stage_pretrain_did_not_train_is_left_out_in_its_words(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / NOTHING).write_text("The corpus has no pictures.\n", "utf-8")
    sources = {
        "vlt5": {"model": str(models / "vlt5" / "trained")},
        "text": {"model": str(save_tiny(tmp_path / "bert"))},
    }
    loaded, why = load_lineup(sources, task(tmp_path), models)
    assert (list(loaded), why) == (
        ["text"],
        {"vlt5": "The stage pretrain trained no model. The corpus has no pictures."},
    )
    with pytest.raises(
        LabError, match=r"states\.encoders: all are left out\. vlt5: The stage pretrain trained no model"
    ):
        load_lineup({"vlt5": sources["vlt5"]}, task(tmp_path), models)


def test_what_is_cut_is_counted(tmp_path: Path) -> None:
    encoder = load_encoder(str(save_tiny(tmp_path / "bert")), max_tokens=5)
    counted = cuts_of_task(encoder, task(tmp_path))
    assert counted is not None
    assert (counted.texts, counted.cut, counted.tokens, counted.lost) == (3, 1, 11 + 3 + 3, 6)
    assert str(counted) == "1 of 3 texts (33.3%) are cut at 5 tokens, which loses 35.3% of all tokens"
    assert str(cuts(encoder, ["red"])) == "none of 1 texts is longer than 5 tokens"
    assert cuts_of_task(load_encoder(str(save_tiny(tmp_path / "v", "clip_vision_model"))), task(tmp_path)) is None

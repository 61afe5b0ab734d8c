"""Tiny CLIP, VL-T5 and VL-BART, trained for two epochs: what is saved, and what is told of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tasks import task_of
from transformers import AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer

from hiddenstates.core import draws
from hiddenstates.core.params import MadeUp, Pretrain, SmallCLIP, SmallVL, ViewCounts
from hiddenstates.corpora.countries.flags import read_flag
from hiddenstates.corpora.countries.views import make_view
from hiddenstates.encoding.models.boxes import load_boxes
from hiddenstates.pretrain import evaluation, summary
from hiddenstates.pretrain.experiment import Experiment, run_experiment
from hiddenstates.pretrain.knowledge import read_knowledge
from hiddenstates.pretrain.progress import Progress
from hiddenstates.pretrain.views import image_processor

PARAMS = Pretrain(
    countries=40,
    cities=10,
    pieces=1200,
    epochs=2,
    views=ViewCounts(train=2, dev=1, test=1),
    made_up=MadeUp(flags=8, views=2, batch=4),
    clip=SmallCLIP(image_size=16, patch=8, width=32, layers=1),
    vl=SmallVL(width=32, layers=1, batch=16, passages=8, rates=[0.001, 0.003], tuning_epochs=1),
)
FOLDERS = [f"{model}/{state}" for model in ("clip", "vlt5", "vlbart") for state in ("untrained", "trained")]
every_folder = pytest.mark.parametrize("name", FOLDERS)


def run(progress: Path) -> Experiment:
    return run_experiment(read_knowledge(task_of([]), PARAMS), PARAMS, Progress(progress))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return run(tmp_path_factory.mktemp("progress"))


@pytest.fixture(scope="module")
def folder(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    experiment.save(models)
    return models


@every_folder
def test_each_folder_loads_whole(name: str, folder: Path, experiment: Experiment) -> None:
    model, report = AutoModel.from_pretrained(folder / name, output_loading_info=True)
    assert report["missing_keys"] == set()
    made = {one.name: one for one in experiment.models}[name.split("/")[0]]
    assert (
        AutoTokenizer.from_pretrained(folder / name)("of Bern")["input_ids"] == made.tokenizer("of Bern")["input_ids"]
    )
    assert model.config.model_type == name.split("/")[0]


@every_folder
def test_pictures_are_read_as_they_were_trained_on(
    name: str, folder: Path, experiment: Experiment, tmp_path: Path
) -> None:
    holder = folder / name if name.startswith("clip") else folder / name / "vision"
    assert (holder / "preprocessor_config.json").exists()
    if name.startswith("clip"):
        return
    views = experiment.views["held_out"]
    make_view(read_flag(views.codes[0]), draws.generator(0, "pretrain", "test", views.codes[0], 0)).save(
        tmp_path / "v.png"
    )
    boxes = load_boxes(holder, PARAMS.clip.width)
    assert boxes is not None
    torch.testing.assert_close(
        boxes.features([tmp_path / "v.png"]), experiment.features["held_out"][:1], atol=1e-4, rtol=0
    )


def test_training_moves_every_part_but_the_eyes_of_vl(experiment: Experiment, folder: Path) -> None:
    for made in experiment.models:
        before, after = (dict(model.named_parameters()) for model in made.states.values())
        assert [key for key in after if torch.equal(before[key], after[key])] == []
    eyes = [(folder / f"{name}/vision/model.safetensors").read_bytes() for name in FOLDERS[2:]]
    assert len(set(eyes)) == 1


def test_the_head_stays_tied_to_the_words_and_the_order_of_boxes(folder: Path) -> None:
    for name in ("vlt5", "vlbart"):
        model = AutoModelForSeq2SeqLM.from_pretrained(folder / name / "trained")
        base = getattr(model, "model", model)
        assert model.lm_head.weight is base.shared.weight
        assert base.encoder.visual_embedding.obj_order_embedding.weight is base.shared.weight


def test_a_second_run_and_a_resumed_one_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    progress = tmp_path / "progress"
    run(progress)
    (progress / "vlbart.safetensors").unlink()  # as if killed in the last training
    (progress / "vlt5.safetensors").unlink()
    run(progress).save(tmp_path / "again")
    for name in FOLDERS:
        weights = [(models / name / "model.safetensors").read_bytes() for models in (folder, tmp_path / "again")]
        assert weights[0] == weights[1], name


def test_a_tokenizer_is_saved_the_same_however_it_was_called(
    folder: Path, experiment: Experiment, tmp_path: Path
) -> None:
    clip, name = experiment.clip, "clip/trained/tokenizer.json"
    clip.tokenizer(["of Bern"], padding="max_length", truncation=True, max_length=5)
    clip.save(tmp_path, image_processor(PARAMS))
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_the_rate_is_the_best_on_dev_of_those_tried_alike(experiment: Experiment) -> None:
    for made in experiment.vl.values():
        assert set(made.tuning) == set(PARAMS.vl.rates)
        assert made.tuning[made.rate] == min(made.tuning.values())
        assert len(made.losses) == PARAMS.epochs
    assert list(summary.tuning(experiment.models).columns) == PARAMS.vl.rates


def test_losses_are_told_as_shares_of_the_first(experiment: Experiment) -> None:
    table = summary.losses(experiment.models)
    assert list(table.columns) == ["clip", "vlt5", "vlbart"]
    assert list(table.index) == [1, 2]
    assert (table.loc[1] == 1).all()


def test_every_system_answers_every_question(experiment: Experiment) -> None:
    for views in ("held_out", "new"):
        answered = experiment.answered(views)
        assert {len(answers) for answers in answered.values()} == {len(experiment.questions[views])}
        assert len(experiment.asked_about(views)) == len(experiment.questions[views])
    assert {"vlt5 trained", "vlt5 untrained", "vlbart trained", "majority", "pixels, nearest view"} <= answered.keys()
    assert set(experiment.names_found("new")) >= {"clip trained", "clip untrained", "pixels, nearest flag"}


def test_a_tie_is_never_the_nearest() -> None:
    items = np.array([[1, 0], [1, 0], [0, 3]], dtype=np.float32)
    queries = np.array([[1, 0], [0, 3]], dtype=np.float32)
    assert evaluation.nearest(queries, items).tolist() == [-1, 2]


def test_shares_and_gains_by_hand() -> None:
    found = {"a": pd.Series([1.0, 1.0, 1.0, 0.0]), "b": pd.Series([0.0, 0.0, 1.0, 0.0])}
    entities = ["x", "x", "y", "z"]
    assert summary.shares(found, entities, 0)["value"].tolist() == [0.75, 0.25]
    table = summary.gains(found, "a", entities, 0)
    assert table.index.tolist() == ["b"]
    assert table["difference"].tolist() == [0.5]
    views = {name: pd.DataFrame({"value": {"a trained": x}}) for name, x in (("held_out", 0.75), ("new", 0.25))}
    said = summary.answer(4, {"a": views}, {"a": table})
    assert "held-out views of the countries that were learned, a 0.750; for countries never seen, a 0.250." in said
    assert "By the test, a is not above “b”." in said
    assert said.splitlines()[-1].startswith("| a | b | +0.500 [")
    above = summary.answer(4, {"a": views}, {"a": table.assign(verdict="better")})
    assert "By the test, above all that it is compared with: a." in above

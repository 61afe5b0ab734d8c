"""Which stages have nothing to do, and what they say and leave."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from hiddenstates.core.errors import LabError
from hiddenstates.core.params import load_params
from hiddenstates.core.stage import made, read_numbers, write_numbers
from hiddenstates.pipeline.idle import idle
from hiddenstates.run import run_stage

PICTURED: dict[str, Any] = {
    "queries": {"named": {"dev": 1, "test": 1}},
    "pictured": {"passages": 3, "queries": 2},
    "image_questions": True,
}
TEXTS = PICTURED | {"pictured": {"passages": 0, "queries": 0}, "image_questions": False}


class Lab:
    """A params.yaml, and what the stage `corpus` found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, facts: dict[str, Any], **sections: object) -> None:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(sections), "utf-8")
        (self.folder / "out" / "corpus").mkdir(parents=True, exist_ok=True)
        write_numbers(self.folder / "out" / "corpus", {}, facts)

    def why(self, stage: str, facts: dict[str, Any], **sections: object) -> str | None:
        self.write(facts, **sections)
        name, _, encoder = stage.partition("@")
        return idle(name, encoder, load_params(self.folder / "params.yaml"))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("HIDDENSTATES_PARAMS", str(tmp_path / "params.yaml"))
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path / "out"))
    return Lab(tmp_path)


@pytest.mark.parametrize("stage", ["pretrain", "tying", "images"])
def test_without_pictures_there_is_nothing_to_look_at(lab: Lab, stage: str) -> None:
    said = lab.why(stage, TEXTS, corpus={"source": "mine"})
    assert said
    assert "picture" in said
    assert "`corpus.source`" in said
    assert lab.why(stage, PICTURED) is None


def test_what_nobody_uses_is_not_trained(lab: Lab) -> None:
    own: dict[str, Any] = {
        "states": {"encoders": {"mine": {}}},
        "images": {"model": "a", "boxes": "b"},
        "compare": {"clip": "a"},
    }
    assert "Nothing in params uses a model that this stage trains" in (lab.why("pretrain", PICTURED, **own) or "")
    for key, value in (("images", {"model": "a"}), ("compare", {}), ("states", {})):
        assert lab.why("pretrain", PICTURED, **(own | {key: value})) is None


def test_pictures_that_find_no_picture_are_no_image_question(lab: Lab) -> None:
    assert lab.why("images", PICTURED | {"image_questions": False})
    assert lab.why("pretrain", PICTURED | {"image_questions": False}) is None


@pytest.mark.parametrize(
    ("corpus", "tagging", "sentence"),
    [
        ("countries", {}, None),
        ("mine", {}, "The corpus has no tagged sentences. To fill this stage, set `tagging.source`"),
        ("mine", {"source": "countries"}, None),
        ("mine", {"source": "data/conll"}, None),
    ],
)
def test_a_corpus_without_tagged_sentences(lab: Lab, corpus: str, tagging: object, sentence: str | None) -> None:
    said = lab.why("tagging", TEXTS, corpus={"source": corpus}, tagging=tagging)
    assert said is None if sentence is None else (said or "").startswith(sentence)


def test_an_encoder_of_images_tags_no_words(lab: Lab) -> None:
    vision = {"encoders": {"eye": {"model": "out/pretrain/models/clip/trained", "part": "vision"}}}
    assert "reads no text" in (lab.why("tagging", PICTURED, states=vision) or "")
    assert lab.why("tagging", PICTURED, states=vision, tagging={"model": "another"}) is None


def test_an_encoder_that_was_left_out_has_no_strategies_and_is_not_indexed(lab: Lab) -> None:
    folder = lab.folder / "out" / "states" / "pooled" / "minilm"
    folder.mkdir(parents=True)
    (folder / "left_out.txt").write_text("It reads images, and there is none.\n", "utf-8")
    assert lab.why("strategies@minilm", TEXTS) == "It reads images, and there is none."
    assert lab.why("strategies@vlt5", TEXTS) is None
    for stage in ("index", "compare"):
        with pytest.raises(LabError, match=rf"{stage}: its encoder 'minilm' was left out .*reads images.*Put another"):
            lab.why(stage, TEXTS)
        assert lab.why(stage, TEXTS, **{stage: {"encoder": "vlt5"}}) is None


def test_a_query_set_that_the_corpus_lacks_is_refused_before_any_work(lab: Lab) -> None:
    with pytest.raises(
        LabError, match=r"strategies\.sets: the corpus has no query set 'descibed'\. Choose among named"
    ):
        lab.why("strategies@minilm", TEXTS, strategies={"sets": ["named", "descibed"]})


def test_before_the_corpus_is_read_nothing_is_said(lab: Lab) -> None:
    lab.write(TEXTS)
    (lab.folder / "out" / "corpus" / "metrics.json").unlink()
    assert idle("pretrain", "", load_params(lab.folder / "params.yaml")) is None


def test_the_stage_that_finds_the_facts_does_not_need_those_of_a_former_run(lab: Lab) -> None:
    lab.write(TEXTS)
    (lab.folder / "out" / "corpus" / "metrics.json").write_text("the former", "utf-8")
    assert idle("corpus", "", load_params(lab.folder / "params.yaml")) is None


def test_facts_that_are_not_there_are_one_error(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"out/corpus: its numbers lack 'pictured'\. Run the stage `corpus` again"):
        lab.why("pretrain", {"queries": {}})


def test_a_stage_with_nothing_to_do_leaves_its_question_the_reason_and_every_declared_folder(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hiddenstates.run._execute", lambda *_: pytest.fail("a kernel was started"))
    lab.write(TEXTS, corpus={"source": "mine"})
    folder = run_stage("pretrain")
    question, reason = nbformat.read(folder / "notebook.ipynb", as_version=4).cells
    assert question.source == "# What do CLIP, VL-T5 and VL-BART learn in N epochs?"
    assert reason.source.startswith("The corpus has no pictures")
    assert read_numbers(folder) == {"nothing to do": reason.source}
    assert (folder / "models" / "nothing.txt").read_text("utf-8").strip() == reason.source
    assert not made(folder / "models")
    left = ["details.json", "figures", "metrics.json", "models", "notebook.ipynb"]
    assert sorted(path.name for path in folder.iterdir()) == left

"""What DVC cannot see, written down: code, the user's files, and settings that another section decides."""

import json
import os
from pathlib import Path

import pytest
import yaml

from hiddenstates.core.errors import LabError
from hiddenstates.core.params import load_params
from hiddenstates.core.paths import ROOT
from hiddenstates.pipeline import inputs
from hiddenstates.pipeline.inputs import write_inputs
from hiddenstates.run import parameters_of


class Lab:
    """A params.yaml of its own, and a folder to write to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def inputs(self, **sections: object) -> dict[str, list[str]]:
        """The lines of each stage under these params."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(sections, sort_keys=False), "utf-8")
        write_inputs()
        return {path.stem: path.read_text("utf-8").splitlines() for path in self.folder.glob("out/inputs/*.txt")}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("HIDDENSTATES_PARAMS", str(tmp_path / "params.yaml"))
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path / "out"))
    return Lab(tmp_path)


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, set[str]]:
    """The stages that differ, with the lines that only one of the two has."""
    return {stage: set(before[stage]) ^ set(after[stage]) for stage in before if before[stage] != after[stage]}


def test_each_stage_lists_its_notebook_and_the_code_behind_it(lab: Lab) -> None:
    found = lab.inputs()
    assert len(found) == len(list(ROOT.glob("notebooks/[0-9][0-9]_*.ipynb")))
    assert found["index"][0].startswith("notebook 07_index.ipynb ")
    modules = {line.split()[1] for line in found["index"] if line.startswith("module")}
    assert {"hiddenstates.run", "hiddenstates.retrieval.index.building"} <= modules
    assert "hiddenstates.pretrain.vl" not in modules


def test_asked_twice_it_says_the_same(lab: Lab) -> None:
    assert changed(lab.inputs(), lab.inputs()) == {}


def test_no_file_is_looked_at_twice_in_a_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    look = inputs._look
    monkeypatch.setattr(inputs, "_look", lambda path: looked.append(path) or look(path))
    lab.inputs()
    assert len(looked) == len(set(looked)) > 200
    looked.clear()
    lab.inputs()
    assert looked == []


def test_what_a_stage_makes_is_no_input_of_a_later_one(lab: Lab) -> None:
    """In a fresh clone nothing is made yet: a second `dvc repro` must find the same inputs as the first."""
    before = lab.inputs()
    trained = lab.folder / "out" / "pretrain" / "models" / "vlt5" / "trained"
    trained.mkdir(parents=True)
    (trained / "config.json").write_text('{"model_type": "vlt5"}', "utf-8")
    assert changed(before, lab.inputs()) == {}
    sections = load_params(lab.folder / "params.yaml")
    assert parameters_of("compare", "", sections)["joint"] == "vlt5"


def test_a_changed_file_of_the_user_s_corpus_changes_the_stage_that_reads_it(lab: Lab) -> None:
    own = lab.folder / "mine"
    (own / "qrels").mkdir(parents=True)
    (own / "corpus.jsonl").write_text("one", "utf-8")
    (own / "qrels" / "test.tsv").write_text("two", "utf-8")
    (own / ".git").mkdir()
    (own / ".git" / "index").write_text("hidden", "utf-8")
    corpus = {"source": str(own)}
    before = lab.inputs(corpus=corpus)
    files = [line for line in before["corpus"] if line.startswith("file")]
    assert [line.rpartition(" ")[0] for line in files] == [
        f"file corpus.source {own}/{name}" for name in ("corpus.jsonl", "qrels/test.tsv")
    ]
    (own / "qrels" / "test.tsv").write_text("2nd", "utf-8")  # of the same length
    assert {stage: len(lines) for stage, lines in changed(before, lab.inputs(corpus=corpus)).items()} == {"corpus": 2}


def test_a_file_that_was_only_touched_is_the_same(lab: Lab) -> None:
    own = lab.folder / "mine"
    own.mkdir()
    (own / "dev.tsv").write_text("one", "utf-8")
    before = lab.inputs(corpus={"source": str(own)})
    os.utime(own / "dev.tsv", (1, 1))
    assert changed(before, lab.inputs(corpus={"source": str(own)})) == {}


def test_an_encoder_s_own_folder_is_read_by_the_stages_that_load_it(lab: Lab) -> None:
    model = lab.folder / "model"
    model.mkdir()
    (model / "vocab.txt").write_text("a b", "utf-8")
    states = {"encoders": {"mine": {"model": str(model)}}}
    before = lab.inputs(states=states)
    (model / "vocab.txt").write_text("a c", "utf-8")
    assert changed(before, lab.inputs(states=states)).keys() == {"states", "tagging", "tokens"}


def test_what_is_not_there_is_said(lab: Lab) -> None:
    gone = lab.folder / "gone"
    assert f"file corpus.source {gone} is not there" in lab.inputs(corpus={"source": str(gone)})["corpus"]


def test_what_stages_make_and_what_the_lab_brings_are_no_files_of_the_user_s(lab: Lab) -> None:
    assert [line for lines in lab.inputs().values() for line in lines if line.startswith("file")] == []


def test_another_first_encoder_changes_the_stages_that_follow_it(lab: Lab) -> None:
    one = {"one": {}, "two": {"max_tokens": 128}}
    other = {"two": {"max_tokens": 128}, "one": {}}
    found = changed(lab.inputs(states={"encoders": one}), lab.inputs(states={"encoders": other}))
    assert {line for line in found["index"] if "loading" not in line} == {
        'setting encoder "one"',
        'setting encoder "two"',
    }
    limits = {
        json.loads(line.removeprefix("setting loading "))["max_tokens"] for line in found["index"] if "loading" in line
    }
    assert limits == {None, 128}, "it encodes a corpus that is larger than the pool"


def test_a_smaller_pool_is_the_pool_of_every_stage_that_reads_all_passages(lab: Lab) -> None:
    found = changed(lab.inputs(), lab.inputs(states={"pool": 1000}))
    assert found == {stage: {"setting pool 30000", "setting pool 1000"} for stage in ("images", "tying", "tokens")}


def test_tagging_follows_the_corpus(lab: Lab) -> None:
    found = changed(lab.inputs(), lab.inputs(corpus={"source": "huggingface"}))
    assert 'setting corpus "huggingface"' in found["tagging"]


def test_a_broken_memory_is_no_memory(lab: Lab) -> None:
    before = lab.inputs()
    (lab.folder / "out" / ".inputs.json").write_text('{"a": [1', "utf-8")
    assert changed(before, lab.inputs()) == {}


def test_a_typo_is_refused_here_already(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"strategies\.measur: unknown key"):
        lab.inputs(strategies={"measur": "mrr@10"})

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hiddenstates import preview
from hiddenstates.core.errors import LabError
from hiddenstates.core.stage import WRITE_TO, Stage, open_stage, read_numbers


def test_in_the_pipeline_a_stage_reads_out_and_writes_where_the_runner_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path / "out"))
    monkeypatch.setenv(WRITE_TO, str(tmp_path / "partial"))
    stage = open_stage("states")
    assert stage == Stage("states", tmp_path / "partial", tmp_path / "out")
    assert stage.upstream("corpus") == tmp_path / "out" / "corpus"
    assert capsys.readouterr().out == ""


def test_by_hand_a_stage_makes_its_samples_once_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path / "out"))
    monkeypatch.delenv(WRITE_TO, raising=False)
    made = []
    monkeypatch.setitem(preview._SAMPLES, "corpus", lambda folder, inputs: made.append(folder))
    stage = open_stage("states")
    assert stage.folder.is_dir()
    assert stage.upstream("corpus") == stage.upstream("corpus") == stage.inputs / "corpus"
    assert made == [stage.inputs / "corpus"]
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr().out.startswith("Opened by hand: a small sample")
    assert open_stage("states").inputs != stage.inputs


def test_by_hand_a_stage_reads_out_where_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path / "out"))
    monkeypatch.delenv(WRITE_TO, raising=False)
    (tmp_path / "out" / "corpus").mkdir(parents=True)
    stage = open_stage("states", by_hand="out")
    assert stage.upstream("corpus") == tmp_path / "out" / "corpus"
    assert not stage.folder.is_relative_to(tmp_path / "out")
    assert "reads out/, and writes nothing there" in capsys.readouterr().out
    with pytest.raises(LabError, match=r"out/pretrain: the stage has left nothing there"):
        stage.upstream("pretrain")


def test_work_that_is_not_through_lies_where_the_runner_does_not_empty(tmp_path: Path) -> None:
    stage = Stage("states", tmp_path / ".states.partial", tmp_path)
    assert not stage.progress.is_relative_to(stage.folder)
    stage.progress.mkdir(parents=True)
    (tmp_path / ".progress" / "index").mkdir()
    stage.forget_progress()
    assert [path.name for path in stage.progress.parent.iterdir()] == ["index"]
    stage.forget_progress()  # there may be nothing to forget


@pytest.mark.parametrize(("by_hand", "told"), [("sample", True), ("out", False)])
def test_a_verdict_on_a_sample_says_so(monkeypatch: pytest.MonkeyPatch, by_hand: Any, told: bool) -> None:
    monkeypatch.delenv(WRITE_TO, raising=False)
    said = open_stage("states", by_hand=by_hand).verdict("**Index it.**").data
    assert said.startswith("**Index it.**")
    assert ("small sample" in said) is told


def written(tmp_path: Path, numbers: dict[str, Any]) -> Any:
    Stage("s", tmp_path, tmp_path).write_numbers({}, numbers)
    return json.loads((tmp_path / "details.json").read_text("utf-8"))


def test_numbers_are_rounded_to_four_digits(tmp_path: Path) -> None:
    numbers = {"a": 1 / 3, "b": {"c": [0.99999, 2], "d": (np.float64(0.00004), "é")}, "n": 12345678, "none": None}
    assert written(tmp_path, numbers) == {
        "a": 0.3333,
        "b": {"c": [1.0, 2], "d": [0.0, "é"]},
        "n": 12345678,
        "none": None,
    }
    text = (tmp_path / "details.json").read_text("utf-8")
    assert "é" in text
    assert text.endswith("}\n")


def test_numpy_s_numbers_are_written_as_python_s(tmp_path: Path) -> None:
    numbers = {"n": np.int64(3), "half": np.float32(0.5), "found": np.bool_(True)}
    assert written(tmp_path, numbers) == {"n": 3, "half": 0.5, "found": True}


def test_a_small_negative_number_loses_its_sign(tmp_path: Path) -> None:
    written(tmp_path, {"a": -0.00001})
    assert "-" not in (tmp_path / "details.json").read_text("utf-8")


def test_headlines_and_details_are_written_apart_and_read_together(tmp_path: Path) -> None:
    assert read_numbers(tmp_path) == {}
    Stage("s", tmp_path, tmp_path).write_numbers({"gain": 1 / 3}, {"interval": [0.25, 2 / 3]})
    assert json.loads((tmp_path / "metrics.json").read_text("utf-8")) == {"gain": 0.3333}
    assert json.loads((tmp_path / "details.json").read_text("utf-8")) == {"interval": [0.25, 0.6667]}
    assert read_numbers(tmp_path) == {"gain": 0.3333, "interval": [0.25, 0.6667]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("nan"), np.float32("nan")])
@pytest.mark.parametrize("file", ["metrics.json", "details.json"])
def test_what_json_cannot_hold_is_refused(tmp_path: Path, value: float, file: str) -> None:
    parts = {"metrics.json": {"a": 1}, "details.json": {"b": 1}} | {file: {"dev": {"named": [1.0, value]}}}
    message = rf"{file}: dev\.named\.1 is (nan|inf)\. There was nothing to measure"
    with pytest.raises(LabError, match=message):
        Stage("s", tmp_path, tmp_path).write_numbers(*parts.values())
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_a_headline_s_or_a_detail_s(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"gain, n: both a headline and a detail\. Give one of them another name"):
        Stage("s", tmp_path, tmp_path).write_numbers({"n": 1, "gain": 2, "p": 3}, {"gain": {}, "n": 1})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [None, "{", "[1]"])
def test_numbers_that_cannot_be_read_are_one_error(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "metrics.json").write_text("{}", "utf-8")
    if text is not None:
        (tmp_path / "details.json").write_text(text, "utf-8")
    with pytest.raises(LabError, match=r"details\.json cannot be read \(.*\)\. Run the stage again"):
        read_numbers(tmp_path)

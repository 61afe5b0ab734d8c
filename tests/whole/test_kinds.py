"""Somebody else's data: the real `dvc repro`, in a clone, with the edits that its owner would make."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kinds import KINDS, SMALL, clone_with, give_compiled, repro, undeclared, verdicts
from tiny import save_tiny

from hiddenstates.core.data import Task
from hiddenstates.core.stage import DETAILS, METRICS, read_numbers
from hiddenstates.encoding.choice import Choice
from hiddenstates.encoding.embeddings.states import TaskStates
from hiddenstates.retrieval.choosing.limits import Limits
from hiddenstates.retrieval.index import IndexBundle
from hiddenstates.run import run_stage

REAL = {"another_encoder": [], "pictures_missing": ["compare"]}
"""Kinds that run through here, and up to where; `make kinds` runs them all, to the end."""

BESIDE = ("tying", "tagging", "tokens")
"""Stages that `compare` does not need."""


def with_tiny_encoder(edit: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One line of states.encoders, a model that encodes in a moment."""
    if "states" in edit:
        return edit
    return edit | {"states": {"encoders": {"tiny": {"model": str(save_tiny(folder / "tiny"))}}}}


@pytest.fixture(scope="module", params=REAL)
def clone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose params.yaml names somebody's data, `dvc repro` behind it."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "data").mkdir()
    edit = with_tiny_encoder(KINDS[request.param](folder / "data"), folder)
    clone = clone_with(folder / "clone", SMALL | edit)
    done = repro(clone, *REAL[request.param])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    give_compiled(clone)
    return clone


def test_of_a_pool_what_was_chosen_is_indexed_and_measured_among_all_passages(clone: Path) -> None:
    params = yaml.safe_load((clone / "params.yaml").read_text("utf-8"))["states"]
    if params["pool"] > 64:
        pytest.skip("no pool is drawn")
    said = {name: read_numbers(clone / "out" / name) for name in ("states", "index", "compare")}
    pool = said["states"]["pool"]
    assert (pool["passages"], pool["judged"], pool["judged"] + pool["found"] + pool["drawn"]) == (64, 32, 40)
    assert said["index"]["vectors"] == len(IndexBundle.load(clone / "out/index/index").ids) == 64
    assert {"bm25", "default", "chosen"} <= said["compare"]["among all passages"]["test"].keys()


def test_where_costs_are_limited_what_is_chosen_keeps_to_them(clone: Path) -> None:
    params = yaml.safe_load((clone / "params.yaml").read_text("utf-8"))
    limits = params["strategies"]
    if limits["bytes_at_most"] is None:
        pytest.skip("nothing is limited")
    (name,) = params["states"]["encoders"]
    chosen = Choice.load(clone / "out/strategies" / name / "choice").strategy
    states = TaskStates.load(clone / "out/states/pooled" / name)
    most = Limits(limits["layers_at_most"], limits["bytes_at_most"])
    assert most.hold(chosen, states.passages)
    assert not most.hold(states.default, states.passages)
    said = "".join(verdicts(clone).values())
    assert "**Limits**: what is chosen takes at most 1 layer and at most 64 bytes per passage." in said


def test_every_stage_leaves_what_dvc_yaml_declares_and_nothing_else(
    clone: Path, request: pytest.FixtureRequest
) -> None:
    ran_all = not REAL[request.node.callspec.params["clone"]]
    assert undeclared(clone, ["inputs", *(() if ran_all else BESIDE)]) == []


def test_git_sees_no_change_but_in_the_records(clone: Path) -> None:
    done = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    changed = {line[3:] for line in done.stdout.splitlines()} - {"params.yaml", "dvc.lock"}
    records = (METRICS, DETAILS)
    assert {name for name in changed if not name.endswith(records) and "/strategies/" not in name} == set()


def test_no_verdict_speaks_of_countries(clone: Path) -> None:
    """But that of the stage that trains a small CLIP on their flags, and the way out of the stage without sentences."""
    for stage, said in verdicts(clone).items():
        told = said.replace("or to countries for the embedded ones", "").lower()
        if stage not in ("pretrain", "tying"):
            assert not [word for word in ("countries", "country", "capital") if word in told], (stage, said)


def test_a_second_time_there_is_nothing_to_do_and_a_changed_file_is_noticed(
    clone: Path, request: pytest.FixtureRequest
) -> None:
    said = repro(clone, *REAL[request.node.callspec.params["clone"]]).stdout
    assert [line for line in said.splitlines() if line.startswith("Running stage")] == ["Running stage 'inputs':"]
    queries = Path(yaml.safe_load((clone / "params.yaml").read_text("utf-8"))["corpus"]["source"]) / "queries.jsonl"
    with queries.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"_id": "late", "text": "Nobody judged this."}) + "\n")
    assert "Running stage 'corpus'" in repro(clone, "corpus").stdout  # the later stages would only take time


def edited(kind: Callable[[Path], dict[str, Any]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """params.yaml and out/ of a folder's own, under the edit of this kind."""
    (folder / "data").mkdir()
    params = yaml.safe_load(Path("params.yaml").resolve().read_text("utf-8")) if Path("params.yaml").exists() else {}
    for section, values in (SMALL | kind(folder / "data")).items():
        params[section] = params.get(section, {}) | values
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    for name in [name for name in os.environ if name.startswith("HIDDENSTATES_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HIDDENSTATES_PARAMS", str(folder / "params.yaml"))
    monkeypatch.setenv("HIDDENSTATES_OUT", str(folder / "out"))


def test_six_tagged_sentences_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(KINDS["six_sentences"], tmp_path, monkeypatch)
    run_stage("corpus")
    assert "nothing to do" not in read_numbers(run_stage("tagging"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_and_what_it_cannot_use_ends_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stages before the encoder's, and those that have nothing to do."""
    edited(KINDS[kind], tmp_path, monkeypatch)
    run_stage("corpus")
    task = Task.load(tmp_path / "out" / "corpus" / "task")
    assert len(task.kb.passages) == {"two_passages": 2, "seven_passages": 7, "pairs": 120}.get(kind, 64)
    found = read_numbers(tmp_path / "out" / "corpus")
    pictures = {"pictured": (64, 48), "pictures_missing": (64, 48), "viquae": (0, 54)}
    if kind not in pictures:
        assert found["pictured"] == {"passages": 0, "queries": 0}
        assert "picture" in read_numbers(run_stage("pretrain"))["nothing to do"]
    else:
        assert found["image_questions"] == (kind != "viquae")

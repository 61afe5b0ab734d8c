"""Every notebook as the pipeline runs it, on a small corpus; each is killed once before it runs through."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml
from architecture import Repository, paths
from killing import KEEPING, Kill, killed_and_run
from nbformat import NotebookNode
from own_pipeline import Pipeline

from hiddenstates.core.params import PER_ENCODER
from hiddenstates.core.paths import ROOT
from hiddenstates.core.stage import WRITE_TO, read_numbers
from hiddenstates.pipeline.kernel import ENVIRONMENT
from hiddenstates.preview import PRETRAINED
from hiddenstates.run import run_stage

NOTEBOOKS = Repository(ROOT).notebooks
SMALL = {"countries": 24, "cities": 16, "views": 1, "questions": 40}
ENCODERS = ("@minilm", "@vlt5")
STAGES = [stage + each for stage in NOTEBOOKS for each in (ENCODERS if stage in PER_ENCODER else [""])]
KILLED = [stage for stage in STAGES if stage in ("corpus", *KEEPING, "strategies@minilm")]
"""The runner is one for all stages, so that a few tell what all would: those that keep something, and two others."""
every_stage = pytest.mark.parametrize("stage", STAGES)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """All stages, with small settings."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    params["corpus"]["countries"] = SMALL
    params["pretrain"] = PRETRAINED.model_dump(mode="json")
    params["tying"] |= {"width": 16, "epochs": 1, "seeds": 2}
    params["tagging"] |= {"sentences": 60, "penalties": [0.3]}
    params["tokens"] |= {"pieces": 1000, "cities": 20, "padded": 12, "asked": 3, "drawn": 500}
    pipeline = Pipeline(tmp_path_factory.mktemp("pipeline"), params)
    with pytest.MonkeyPatch.context() as patch:
        for name in {*ENVIRONMENT, WRITE_TO} - os.environ.keys():  # the runner's: gone when the tests are through
            patch.setenv(name, "")
            patch.delenv(name)
        for name, value in pipeline.environment.items():
            patch.setenv(name, value)
        yield pipeline


@pytest.fixture(scope="module")
def kills(pipeline: Pipeline) -> dict[str, Kill]:
    """Of each stage, before it ran through."""
    kills = {}
    for stage in STAGES:
        if stage in KILLED:
            kills[stage] = killed_and_run(pipeline, stage)
        else:
            run_stage(stage)
    return kills


@pytest.fixture(scope="module")
def out(pipeline: Pipeline, kills: dict[str, Kill]) -> Path:
    """What the whole pipeline leaves: every stage ran through after its kill."""
    return pipeline.out


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def notebook(out: Path, stage: str) -> NotebookNode:
    return read(out / stage.replace("@", "/") / "notebook.ipynb")


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@every_stage
def test_it_runs_through_and_leaves_numbers(out: Path, stage: str) -> None:
    name, _, encoder = stage.partition("@")
    assert [o.evalue for o in outputs(notebook(out, stage)) if o.output_type == "error"] == []
    for numbers in ("metrics.json", "details.json"):
        assert json.loads((out / name / encoder / numbers).read_text("utf-8"))
    declared = Repository(ROOT).stages[name]
    for made in paths([*declared["outs"], *declared["plots"]]):
        assert (out / made.removeprefix("out/").replace("${key}", encoder)).exists(), made


@every_stage
def test_it_ends_with_a_verdict_and_what_would_overturn_it(out: Path, stage: str) -> None:
    heading, verdict, doubt = notebook(out, stage).cells[-3:]
    assert heading.source == "## Verdict"
    (said,) = verdict.outputs
    assert "**" in said.data["text/markdown"]
    assert doubt.source.startswith("**What would overturn it.**")


@every_stage
def test_it_says_nothing_of_the_machine_or_the_moment(out: Path, stage: str) -> None:
    text = json.dumps([dict(output) for output in outputs(notebook(out, stage))])
    for trace in (str(out), str(out.parent), str(ROOT), str(Path.home()) + "/", ".partial", "0x7f", "stderr"):
        assert trace not in text


def test_the_real_encoder_finds_what_is_named(out: Path) -> None:
    """A sanity check of the whole chain: were a vector filed under another's id, nearly nothing would be found."""
    found = read_numbers(out / "compare")["test"]
    assert found["default"]["named"]["mrr@10"] > 0.8
    assert found["default"]["alias"]["mrr@10"] > found["bm25"]["alias"]["mrr@10"]


def test_an_image_changes_the_answers_to_questions_that_show_one_and_no_others(out: Path) -> None:
    measured = read_numbers(out / "compare")
    found, oracles = measured["test"], measured["with an image"]["oracles"]["test"]
    for system in ("image", "weighted", "filtered"):
        assert found[system]["visual"] != found["chosen"]["visual"]
        assert found[system]["named"] == found["chosen"]["named"]
    assert oracles["oracle: right image, then text"]["value"] > found["chosen"]["visual"]["mrr@10"]


@pytest.mark.parametrize("stage", KILLED)
def test_a_killed_run_leaves_all_of_a_stage_or_nothing(pipeline: Pipeline, kills: dict[str, Kill], stage: str) -> None:
    before = {path: data for done in STAGES[: STAGES.index(stage)] for path, data in pipeline.made(done).items()}
    assert kills[stage].seen in (before, before | pipeline.made(stage))


@pytest.mark.parametrize("stage", KEEPING)
def test_the_next_run_goes_on_from_what_the_killed_one_kept(kills: dict[str, Kill], stage: str) -> None:
    assert kills[stage].kept
    assert not kills[stage].anew


@pytest.mark.usefixtures("kills")
def test_nothing_is_left_of_killed_runs(pipeline: Pipeline) -> None:
    assert {path.name for path in pipeline.out.iterdir()} - {".progress"} == {*NOTEBOOKS}
    assert list((pipeline.out / ".progress").iterdir()) == []


@pytest.mark.usefixtures("kills")
@pytest.mark.parametrize("stage", ["images", "states"])  # neither reads what one before it wrote
def test_an_undisturbed_run_gives_the_same_bytes(pipeline: Pipeline, stage: str) -> None:
    """Of pretraining, tests/pretrain/test_pretrain_models.py says so; the other stages have nothing kept."""
    after_a_kill = pipeline.made(stage)
    run_stage(stage)
    assert pipeline.made(stage) == after_a_kill

"""Kill -9 at any moment: nothing half written is ever read, and the next run is as if nothing had happened.

Here are the runner and DVC, with the first stage; test_notebooks.py kills each of the stages.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml
from killing import kill_all, kill_alone
from own_pipeline import Files, Pipeline, Process

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import claimed_folder
from hiddenstates.core.paths import ROOT

SMALL = {"corpus": {"countries": {"countries": 20, "cities": 0, "views": 1, "questions": 8}}}
MOMENTS = 2
LAST_WORDS = 2.5  # seconds; a kernel looks every second whether its runner lives
MAKE_REPRO = ["make", "--file", str(ROOT / "Makefile"), "--old-file", ".venv/.ready", "repro"]

every_moment = pytest.mark.parametrize("moment", range(MOMENTS))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, float]:
    """What a run makes that nobody kills, and how long that takes."""
    start = time.monotonic()
    pipeline = Pipeline(tmp_path_factory.mktemp("undisturbed"), SMALL)
    assert pipeline.start_stage("corpus", forked=False).wait() == 0
    return pipeline.made(), time.monotonic() - start


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Where DVC knows the one stage, and make finds this environment."""
    pipeline = Pipeline(tmp_path_factory.mktemp("killed"), SMALL)
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]["corpus"]
    del stage["deps"]  # they are not here
    (pipeline.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"corpus": stage}}), "utf-8")
    (pipeline.folder / ".venv").symlink_to(sys.prefix)
    assert pipeline.start("dvc", "init", "--no-scm", "--quiet").wait() == 0
    return pipeline


def sleep_into(moment: int, draw: random.Random, seconds: float) -> None:
    """Until a time drawn from one of the parts of a run that takes so long."""
    time.sleep(seconds * draw.uniform(moment, moment + 1) / MOMENTS)


@every_moment
def test_a_killed_dvc_leaves_nothing_or_all(moment: int, pipeline: Pipeline, undisturbed: tuple[Files, float]) -> None:
    content, seconds = undisturbed
    process = pipeline.start("dvc", "repro", forked=False)
    sleep_into(moment, random.Random(moment), seconds)
    kill_all(process)
    assert pipeline.made() in ({}, content)


def test_make_repro_then_goes_through(pipeline: Pipeline, undisturbed: tuple[Files, float]) -> None:
    for cut_short in (".dvc/tmp/rwlock", "dvc.lock"):  # as by a dvc that was killed while it wrote
        (pipeline.folder / cut_short).write_bytes(b"")
    subprocess.run(MAKE_REPRO, cwd=pipeline.folder, env=os.environ | pipeline.environment, check=True)
    assert pipeline.made() == undisturbed[0]
    assert [path.name for path in pipeline.out.iterdir()] == ["corpus"]


def test_make_repro_leaves_a_merge_conflict_to_whoever_merges(pipeline: Pipeline) -> None:
    lock = pipeline.folder / "dvc.lock"
    before = lock.read_text("utf-8")
    conflict = f"<<<<<<< HEAD\n{before}=======\n{before}>>>>>>> theirs\n"
    lock.write_text(conflict, "utf-8")
    made = subprocess.run(MAKE_REPRO, cwd=pipeline.folder, capture_output=True, text=True)
    after = lock.read_text("utf-8")
    lock.write_text(before, "utf-8")
    assert (made.returncode != 0, after) == (True, conflict)
    assert "possible merge conflicts" in made.stderr


@every_moment
def test_a_killed_run_leaves_the_former_results_or_the_new_ones(
    moment: int, pipeline: Pipeline, undisturbed: tuple[Files, float]
) -> None:
    content, seconds = undisturbed
    (pipeline.out / "corpus").mkdir(parents=True, exist_ok=True)
    (pipeline.out / "corpus" / "metrics.json").write_text("the former", "utf-8")
    former, draw = pipeline.made(), random.Random(moment)
    process = pipeline.start_stage("corpus", forked=False)
    sleep_into(moment, draw, seconds)
    draw.choice([kill_all, kill_alone])(process)
    assert pipeline.made() in (former, content)


def test_a_kernel_ends_with_its_runner(pipeline: Pipeline) -> None:
    former, process = pipeline.made(), pipeline.start_stage("corpus")
    kernels = waited_for(process, lambda: psutil.Process(process.pid).children(recursive=True))
    kill_alone(process)
    _, alive = psutil.wait_procs(kernels, timeout=LAST_WORDS)
    # a zombie has ended; in a container nobody may be there to bury it
    assert [kernel for kernel in alive if kernel.status() != psutil.STATUS_ZOMBIE] == []
    assert pipeline.made() == former


def waited_for(process: Process, look: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    while not (found := look()):
        assert process.poll() is None, "it ended before there was anything to see"
        time.sleep(0.05)
    return found


def test_what_an_orphan_writes_is_not_the_next_run_s(tmp_path: Path) -> None:
    with claimed_folder(tmp_path, "index") as mine:
        pass
    mine.mkdir()
    (mine / "late").touch()
    with claimed_folder(tmp_path, "index") as folder:
        assert list(tmp_path.rglob("*")) == [folder]


def test_two_runners_of_one_stage_are_kept_apart(tmp_path: Path) -> None:
    with (
        claimed_folder(tmp_path, "index"),
        claimed_folder(tmp_path, "images"),
        pytest.raises(LabError, match=r"index: another process is at it, in .*Wait until it is through"),
        claimed_folder(tmp_path, "index"),
    ):
        pass

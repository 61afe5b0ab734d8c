"""The runner on a toy of the stage `index`, whose notebook makes a file and fails when it is told to."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from full_disk import no_file_above
from nbformat.v4 import new_code_cell, new_notebook

from hiddenstates import run
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import SECTIONS, Section
from hiddenstates.core.stage import WRITE_TO, read_numbers
from hiddenstates.pipeline.kernel import ENVIRONMENT
from hiddenstates.pipeline.scrub import ELSEWHERE
from hiddenstates.run import main, run_stage

WORK = """
import os, sys
from hiddenstates.core.errors import LabError
from hiddenstates.core.stage import open_stage
stage = open_stage("index")
(stage.folder / "made.txt").write_text(factory)
print("counting", file=sys.stderr)
if depth == 13:
    raise LabError("Depth 13 brings bad luck. Choose another.")
if depth == 14:
    os._exit(1)
if depth == 15:
    (stage.folder / "large").write_bytes(bytes(30_000))
if depth > 1000:
    raise OSError(depth - 1000, os.strerror(depth - 1000), "made.txt")
stage.write_numbers({"depth": depth}, {"square": depth * depth})
print(factory, depth, os.environ["PYTHONHASHSEED"])
"""

TIMED = """
import time
stage.write_timings({"search": {"seconds": 0.5}})
print("at", time.monotonic_ns())
"""


class Knobs(Section):
    """The toy's own: the real stage's may change."""

    encoder: str = "minilm"
    factory: str = "Flat"
    depth: int = 10


class Toy:
    """A folder of notebooks, a params file, and the folder that the stages write to."""

    def __init__(self, folder: Path) -> None:
        self.notebooks, self.params, self.out = folder / "notebooks", folder / "params.yaml", folder / "out"
        self.notebooks.mkdir(parents=True)
        self.write('encoder = loading = engine = ray = factory = "none"\ndepth = 0')

    def write(self, parameters: str, tag: str = "parameters") -> None:
        """The notebook anew, with this parameters cell."""
        cells = [
            new_code_cell(parameters, id="knobs", metadata={"tags": [tag]}),
            new_code_cell(WORK, id="work"),
            new_code_cell(TIMED, id="clock", metadata={"tags": ["timed"]}),
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(new_notebook(cells=cells, metadata=kernel), self.notebooks / "07_index.ipynb")

    def run(self, params: str) -> Path:
        self.params.write_text(params, "utf-8")
        return run_stage("index")

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Make the runner take this folder for the lab's."""
        patch.setattr(run, "NOTEBOOKS", self.notebooks)
        patch.setitem(SECTIONS, "index", Knobs)
        patch.setenv("HIDDENSTATES_PARAMS", str(self.params))
        patch.setenv("HIDDENSTATES_OUT", str(self.out))
        for name in [*ENVIRONMENT, WRITE_TO]:  # the runner sets them: restored when the tests are through
            patch.setenv(name, "")
            patch.delenv(name)

    def content(self) -> dict[str, bytes]:
        """The files under out/, by path."""
        return {p.relative_to(self.out).as_posix(): p.read_bytes() for p in self.out.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    toy = Toy(tmp_path_factory.mktemp("toy"))
    with pytest.MonkeyPatch.context() as patch:
        toy.install(patch)
        yield toy


@pytest.fixture(scope="module")
def content(toy: Toy) -> dict[str, bytes]:
    """Two runs over what killed runs left; the second run's files."""
    for leftover in (".index.1.partial", ".index.old"):
        (toy.out / leftover).mkdir(parents=True)
        (toy.out / leftover / "rubbish").touch()
    assert toy.run("index: {factory: HNSW32, depth: 7}") == toy.out / "index"
    first = toy.content()
    toy.run("index: {factory: HNSW32, depth: 7}")
    again = toy.content()
    assert {name for name in first if first[name] != again[name]} == {"index/timings.json", "index/timed.ipynb"}
    return again


def test_a_stage_leaves_its_folder_and_nothing_else(content: dict[str, bytes], toy: Toy) -> None:
    empty = ("figures/nothing.txt", "index/nothing.txt")  # folders that dvc.yaml declares, and the toy left empty
    made = ("details.json", *empty, "made.txt", "metrics.json", "notebook.ipynb", "timed.ipynb", "timings.json")
    assert sorted(content) == [f"index/{name}" for name in made]
    assert [p.name for p in toy.out.iterdir()] == ["index"]
    assert content["index/made.txt"] == b"HNSW32"
    assert read_numbers(toy.out / "index") == {"depth": 7, "square": 49}
    assert WRITE_TO not in os.environ


def test_the_notebook_holds_the_injected_parameters_and_no_trace_of_the_run(content: dict[str, bytes]) -> None:
    notebook = nbformat.reads(content["index/notebook.ipynb"].decode(), as_version=4)
    injected, work, _ = notebook.cells  # the defaults that it did not run with are gone
    assert injected.metadata.tags == ["injected-parameters"]
    assert 'factory = "HNSW32"\ndepth = 7' in injected.source
    assert [output.text for output in work.outputs] == ["HNSW32 7 0\n"]
    assert "papermill" not in notebook.metadata
    assert all(cell.metadata.keys() <= {"tags"} for cell in notebook.cells)


def test_what_the_clock_says_lies_beside(content: dict[str, bytes]) -> None:
    plain, timed = (
        nbformat.reads(content[f"index/{name}.ipynb"].decode(), as_version=4).cells[-1].outputs[0].text
        for name in ("notebook", "timed")
    )
    assert plain == ELSEWHERE
    assert timed.startswith("at ")
    timings = json.loads(content["index/timings.json"])
    assert timings["search"] == {"seconds": 0.5}
    assert timings["stage"]["seconds"] > 0.5  # a kernel takes that long to start
    assert 10 < timings["stage"]["peak memory, MB"] < 10_000


def test_a_failing_notebook_is_kept_and_the_former_results_too(
    content: dict[str, bytes], toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.params.write_text("index: {depth: 13}", "utf-8")
    monkeypatch.setattr(sys, "argv", ["run", "index"])
    with pytest.raises(SystemExit) as caught:
        main()
    failed = toy.out / "failed" / "index.ipynb"
    assert caught.value.code == (
        f"error: index: Depth 13 brings bad luck. Choose another.\nThe failed notebook: {failed}"
    )
    assert "bad luck" in failed.read_text("utf-8")
    assert {path: data for path, data in toy.content().items() if path != "failed/index.ipynb"} == content
    assert sorted(p.name for p in toy.out.iterdir()) == ["failed", "index"]


def test_a_kernel_that_dies_leaves_the_former_results(content: dict[str, bytes], toy: Toy) -> None:
    with pytest.raises(LabError, match=r"index: the kernel died.*\nThe failed notebook: .*index\.ipynb"):
        toy.run("index: {depth: 14}")
    assert {path: data for path, data in toy.content().items() if path.startswith("index/")} == content
    assert list(toy.out.glob(".*")) == []
    assert WRITE_TO not in os.environ


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES], ids=os.strerror)
def test_what_cannot_be_written_in_the_notebook_is_one_error(content: dict[str, bytes], toy: Toy, number: int) -> None:
    with pytest.raises(LabError) as caught:
        toy.run(f"index: {{depth: {1000 + number}}}")
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"index: nothing can be written to {toy.out} ([Errno {number}] {os.strerror(number)}: ")
    assert first.endswith("Nothing is lost: what dvc removed before the run, `dvc checkout` brings back.")
    assert second == f"The failed notebook: {toy.out / 'failed' / 'index.ipynb'}"
    assert {path: data for path, data in toy.content().items() if path.startswith("index/")} == content


@pytest.mark.parametrize("door", ["nbformat.write", "papermill.execute_notebook"])
def test_what_the_runner_cannot_write_is_one_error(
    content: dict[str, bytes], toy: Toy, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "notebook.ipynb")

    monkeypatch.setattr(door, full)
    with pytest.raises(
        LabError, match=r"index: nothing can be written to .*No space left on device: 'notebook\.ipynb'"
    ):
        toy.run("index: {depth: 7}")
    assert {path: data for path, data in toy.content().items() if path.startswith("index/")} == content
    assert list(toy.out.glob(".*")) == []


def test_on_a_full_disk_there_is_one_error_and_nothing_is_lost(content: dict[str, bytes], toy: Toy) -> None:
    message = r"index: nothing can be written to .* \(.*File too large.*\)\. Free some"
    with no_file_above(20_000), pytest.raises(LabError, match=message):  # the kernel inherits it
        toy.run("index: {depth: 15}")
    assert {path: data for path, data in toy.content().items() if path.startswith("index/")} == content
    assert list(toy.out.glob(".*")) == []


def test_braces_in_a_path_are_braces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Toy(tmp_path / "{depth}")
    odd.install(monkeypatch)
    odd.run("index: {depth: 7}")
    assert "index/notebook.ipynb" in odd.content()


@pytest.fixture
def idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A toy whose notebook must never start."""
    idle = Toy(tmp_path)
    idle.install(monkeypatch)
    monkeypatch.setattr(run, "_execute", lambda *_: pytest.fail("a kernel was started"))
    return idle


@pytest.mark.parametrize(
    ("cell", "tag", "message"),
    [
        (
            "encoder = loading = engine = ray = factory = 1",
            "parameters",
            r"07_index\.ipynb: depth: in its parameters cell or in params\.py, not in both",
        ),
        (
            "encoder = loading = engine = ray = factory = depth = kind = 1",
            "parameters",
            r"07_index\.ipynb: kind: in its parameters cell or in params\.py",
        ),
        (
            "encoder = loading = engine = ray = factory = depth = 1",
            "other",
            r"07_index\.ipynb: no cell is tagged `parameters`\. Tag the cell",
        ),
        ("encoder = factory = (", "parameters", r"07_index\.ipynb: its parameters cell is not Python \(.*line 1\)"),
    ],
)
def test_parameters_that_do_not_match_are_refused(idle: Toy, cell: str, tag: str, message: str) -> None:
    idle.write(cell, tag)
    with pytest.raises(LabError, match=message):
        idle.run("index: {depth: 7}")
    assert not idle.out.exists()


def test_another_stage_s_typo_stops_this_one(idle: Toy) -> None:
    with pytest.raises(LabError, match=r"params\.yaml: strategies\.measur: unknown key"):
        idle.run("strategies: {measur: mrr@10}")


@pytest.mark.parametrize("stage", ["strategies", "strategies@t5", "index@vlt5"])
def test_a_stage_s_encoder_must_be_one_of_params(idle: Toy, stage: str) -> None:
    (idle.notebooks / "07_index.ipynb").rename(idle.notebooks / f"07_{stage.partition('@')[0]}.ipynb")
    idle.params.write_text("states: {encoders: {minilm: {}, vlt5: {}}}", "utf-8")
    right = "index" if stage.startswith("index") else "strategies@minilm, strategies@vlt5"
    with pytest.raises(LabError, match=rf"stage '{stage}': choose one of {right}\."):
        run_stage(stage)


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("stage", ["states", "no stage"])
def test_a_stage_without_a_notebook_is_refused(stage: str) -> None:
    with pytest.raises(LabError, match=rf"stage '{stage}': expected one notebooks/NN_{stage}\.ipynb\. Stages: corpus,"):
        run_stage(stage)


def test_the_command_exits_with_one_and_one_message(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("indx: {}", "utf-8")
    paths = {"HIDDENSTATES_PARAMS": str(tmp_path / "params.yaml"), "HIDDENSTATES_OUT": str(tmp_path / "out")}
    command = [sys.executable, "-m", "hiddenstates.run", "index"]
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: params.yaml: indx: no such section. Known: corpus")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="there is no folder here into which not even root may write")
def test_a_folder_without_rights_is_one_error(idle: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDENSTATES_OUT", "/sys/hiddenstates")
    with pytest.raises(LabError, match=r"nothing can be written to .* \(.*'/sys/hiddenstates.*\)\. Free some"):
        idle.run("index: {depth: 7}")

import io
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hiddenstates.pipeline import repro
from hiddenstates.pipeline.repro import changed_stages, read_needs, run_side_by_side

NEEDS = {
    "inputs": set(),
    "corpus": {"inputs"},
    "tokens": {"corpus"},
    "states": {"corpus"},
    "strategies@a.b": {"states"},
    "compare": {"strategies@a.b", "tokens"},
}
DOT = """strict digraph {
"inputs";
"corpus";
"tokens";
"states";
"strategies@a.b";
"compare";
"inputs" -> "corpus";
"corpus" -> "tokens";
"corpus" -> "states";
"states" -> "strategies@a.b";
"strategies@a.b" -> "compare";
"tokens" -> "compare";
}
"""


def test_what_a_stage_needs_is_read_in_the_order_of_dvc_yaml() -> None:
    assert list(read_needs(DOT).items()) == list(NEEDS.items())


def test_what_needs_a_changed_stage_may_change_too() -> None:
    assert changed_stages(NEEDS, {"states"}) == {"states", "strategies@a.b", "compare"}
    assert changed_stages(NEEDS, set()) == set()


def test_the_longest_way_goes_first_and_nothing_starts_before_what_it_needs() -> None:
    started: list[str] = []

    def run(stage: str) -> bool:
        started.append(stage)
        return True

    assert run_side_by_side(NEEDS, set(NEEDS), 1, run) == []
    assert started == ["inputs", "corpus", "states", "tokens", "strategies@a.b", "compare"]


def test_after_a_failure_none_is_started_and_the_failed_one_is_named() -> None:
    started: list[str] = []

    def run(stage: str) -> bool:
        started.append(stage)
        return stage != "states"

    assert run_side_by_side(NEEDS, set(NEEDS), 1, run) == ["states"]
    assert started == ["inputs", "corpus", "states"]


def test_of_a_progress_bar_a_line_is_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "begun\n\r 1/9 epochs\r 2/9 epochs\r         \rthe end\n"
    repro._pass_on(io.StringIO(said, newline=""), "pretrain")
    assert capsys.readouterr().out == "pretrain | begun\npretrain | the end\n"
    monkeypatch.setattr(repro, "SELDOM", 0)
    repro._pass_on(io.StringIO(said, newline=""), "pretrain")
    assert capsys.readouterr().out.splitlines()[1:3] == ["pretrain | 1/9 epochs", "pretrain | 2/9 epochs"]


MEETING = '''
import sys
import time
from pathlib import Path


def meet(own, other):
    """Come, and wait until the other has come."""
    Path(own).touch()
    until = time.monotonic() + 60
    while not Path(other).exists():
        if time.monotonic() > until:
            sys.exit(f"{other} never came")
        time.sleep(0.05)
    Path(f"{own}.out").write_text("met")


def join():
    Path("end.out").write_text(Path("left.out").read_text() + Path("right.out").read_text())
'''


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """Two stages, each of which ends only when the other has begun, and one that needs both."""
    (tmp_path / "meeting.py").write_text(MEETING, "utf-8")

    def stage(call: str, out: str, deps: list[str]) -> dict[str, object]:
        return {"cmd": f'"{sys.executable}" -c "import meeting; meeting.{call}"', "deps": deps, "outs": [out]}

    stages = {
        "inputs": {"cmd": "echo a > first.out", "always_changed": True, "outs": ["first.out"]},
        "left": stage("meet('left', 'right')", "left.out", ["first.out"]),
        "right": stage("meet('right', 'left')", "right.out", ["first.out"]),
        "end": stage("join()", "end.out", ["left.out", "right.out"]),
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False), "utf-8")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm"], cwd=tmp_path, check=True)
    return tmp_path


def side_by_side(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hiddenstates.pipeline.repro", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_stages_that_do_not_need_one_another_run_at_once_and_are_recorded_as_by_dvc(pipeline: Path) -> None:
    done = side_by_side(pipeline)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (pipeline / "end.out").read_text("utf-8") == "metmet"
    alone = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=pipeline, capture_output=True, text=True, check=True
    )
    assert [line for line in alone.stdout.splitlines() if line.startswith("Running")] == ["Running stage 'inputs':"]
    assert "0 of 4 stages may have changed." in side_by_side(pipeline).stdout


def test_a_stage_that_fails_is_named_and_what_is_done_stays(pipeline: Path) -> None:
    (pipeline / "meeting.py").write_text(MEETING.replace('"met"', "own if own == 'left' else missing"), "utf-8")
    done = side_by_side(pipeline)
    assert done.returncode == 1
    assert "error: right: failed, as said above." in done.stderr
    assert "right | NameError: name 'missing' is not defined" in done.stdout
    assert not (pipeline / "end.out").exists()
    (pipeline / "meeting.py").write_text(MEETING, "utf-8")
    again = side_by_side(pipeline)
    assert again.returncode == 0
    assert "left | started" not in again.stdout
    assert (pipeline / "end.out").read_text("utf-8") == "leftmet"

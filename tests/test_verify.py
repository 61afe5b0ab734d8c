import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hiddenstates import verify as verification
from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import ROOT
from hiddenstates.core.stage import write_numbers
from hiddenstates.verify import check_root, differences, environment_of, hashes, main, numbers

WRITE = """
import json, os, pathlib
threads = os.environ["OMP_NUM_THREADS"]
pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path("out/a").write_text(threads)
pathlib.Path("out/metrics.json").write_text(json.dumps({"threads": int(threads)}))
"""
GIT = "git -c user.name=a -c user.email=a@example.org"


def write_lock(folder: Path, **outs: str) -> Path:
    """A dvc.lock of one stage an output."""
    folder.mkdir(exist_ok=True)
    stages = {name: {"cmd": "x", "outs": [{"path": f"out/{name}", "md5": md5}]} for name, md5 in outs.items()}
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}), "utf-8")
    return folder


def copy_paths(folder: Path) -> None:
    """A copy of the lab that knows where it is, and no more."""
    for name in ("hiddenstates", "hiddenstates/core"):
        (folder / "src" / name).mkdir(parents=True)
        (folder / "src" / name / "__init__.py").touch()
    paths = "src/hiddenstates/core/paths.py"
    (folder / paths).write_bytes((ROOT / paths).read_bytes())


def test_locks_that_agree_do_not_differ(tmp_path: Path) -> None:
    one, other = (write_lock(tmp_path / name, corpus="a1", index="b2.dir") for name in ("one", "other"))
    assert hashes(one) == {"out/corpus": "a1", "out/index": "b2.dir"}
    assert differences(hashes(one), hashes(other)) == []


def test_each_output_that_differs_or_is_missing_is_named(tmp_path: Path) -> None:
    recorded = write_lock(tmp_path / "recorded", corpus="a1", index="b2", states="c3")
    again = write_lock(tmp_path / "again", corpus="a1", index="b4", tokens="d5")
    assert differences(hashes(recorded), hashes(again)) == [
        "out/index: b2 was recorded, b4 came out",
        "out/states: c3 was recorded, nothing came out",
        "out/tokens: nothing was recorded, d5 came out",
    ]


def test_the_lab_s_own_lock_is_read() -> None:
    found = hashes(ROOT)
    assert "out/compare/notebook.ipynb" in found
    assert all(len(md5.removesuffix(".dir")) == 32 for md5 in found.values())


def test_headlines_and_details_are_compared_number_by_number(tmp_path: Path) -> None:
    for name, mrr, high in (("one", 0.5, 1.5), ("other", 0.25, 2.5)):
        folder = tmp_path / name / "out" / "strategies" / "minilm"
        folder.mkdir(parents=True)
        write_numbers(folder, {"named": {"mrr": mrr}}, {"interval": [0, high]})
    assert differences(numbers(tmp_path / "one"), numbers(tmp_path / "other")) == [
        "out/strategies/minilm/details.json: interval.1: 1.5 was recorded, 2.5 came out",
        "out/strategies/minilm/metrics.json: named.mrr: 0.5 was recorded, 0.25 came out",
    ]


def test_the_clone_s_code_wins_over_the_installed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDENSTATES_OUT", "elsewhere")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    copy_paths(tmp_path)
    environment = environment_of(tmp_path, threads=4)
    assert (environment["OMP_NUM_THREADS"], environment["NUMBA_NUM_THREADS"]) == ("4", "4")
    assert "HIDDENSTATES_OUT" not in environment
    check_root(tmp_path, environment)
    with pytest.raises(LabError, match=r"verify: the code of .* would run, not that of .*Run it as `make verify`"):
        check_root(tmp_path / "src", environment)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one stage, which writes the number of its threads."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setattr(verification, "ROOT", tmp_path)
    copy_paths(tmp_path)
    (tmp_path / "write.py").write_text(WRITE, "utf-8")
    outs = {"outs": ["out/a"], "metrics": [{"out/metrics.json": {"cache": False}}]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"a": {"cmd": "python write.py", **outs}}}), "utf-8")
    for command in ("git init -q", "dvc init -q", "dvc repro -q", "git add .", f"{GIT} commit -qm a"):
        subprocess.run(command.split(), cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "2"}, check=True)
    return tmp_path


@pytest.mark.usefixtures("toy")
def test_a_pipeline_that_comes_out_again_and_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert verification.verify(None) == []
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [line.partition(":")[0] for line in verification.verify(None)] == ["out/a", "out/metrics.json"]
    assert verification.verify(4) == ["out/metrics.json: threads: 2 was recorded, 4 came out"]


@pytest.mark.parametrize(("found", "code"), [([], 0), (["out/index: a was recorded, b came out"], "error: 1 differ.")])
def test_the_command_prints_what_differs(
    found: list[str], code: int | str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verification, "verify", lambda _: found)
    monkeypatch.setattr(sys, "argv", ["verify"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == code
    assert capsys.readouterr().out.split("\n")[:-1] == (found or ["What is recorded is what came out."])


def test_a_pipeline_that_fails_is_one_error(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (toy / "write.py").write_text("1 / 0", "utf-8")
    subprocess.run([*GIT.split(), "commit", "-qam", "a"], cwd=toy, check=True)
    monkeypatch.setattr(sys, "argv", ["verify"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert "'dvc', 'repro', '--force', '--no-commit'" in str(caught.value.code)
    assert str(caught.value.code).startswith("error: Command")

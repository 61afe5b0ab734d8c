import os
import subprocess
import sys
from pathlib import Path

import pytest

from hiddenstates.core.paths import ROOT


def test_the_sweep_s_benchmark_still_runs() -> None:
    command = [sys.executable, "benchmarks/sweep.py", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line[:3] for line in lines if line.startswith("(")] == ["(b)", "(c)", "(d)"]
    assert sum("ranks equal: 100" in line for line in lines) == 2
    assert sum(line.strip().startswith("ratio ") for line in lines) == 2


def test_the_search_s_benchmark_still_runs() -> None:
    command = [sys.executable, "benchmarks/search.py", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    parts = [line[:3] for line in lines if line.startswith("(")]
    assert parts[:12] == ["(a)"] * 6 + ["(b)"] * 4 + ["(c)"] * 2
    assert set(parts[12:]) == {"(d)"}
    assert all("ratio" in line or "skipped: hnswlib" in line for line in lines if line.startswith("("))


def test_the_scale_s_benchmark_still_runs() -> None:
    command = [sys.executable, "benchmarks/scale.py", "--quick", "--parts", "short,IVF"]  # others: the same doors
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    summaries = [line.partition(": growth ")[0] for line in lines if ": growth " in line]
    assert summaries == ["encode short", "build IVF", "search IVF"]
    assert sum("MB on disk  peak" in line for line in lines) == 6
    assert any("goal 2000 MB, ratio" in line for line in lines)


def test_the_search_space_s_benchmark_still_runs() -> None:
    command = [sys.executable, "benchmarks/search_space.py", "--quick", "--threads", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (cost,) = [line for line in done.stdout.splitlines() if "scored on all passages" in line]
    assert "looked at of 3.36e+08" in cost
    assert any(line.strip().startswith("private") for line in done.stdout.splitlines())


MAPPED, OWN = 300, 100
WORK = f"""
import mmap, sys, time
with open(sys.argv[2], "rb") as file:
    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    read = sum(pages[::4096])
own = b"1" * ({OWN} << 20)
time.sleep(1)
"""
START = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"


def test_private_memory_leaves_out_the_pages_of_mapped_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from private import peaks, watched

    file = tmp_path / "mapped"
    file.write_bytes(bytes(MAPPED << 20))

    def work(arguments: list[str]) -> str | None:
        return arguments[1] if arguments[1:2] == ["-c"] and START in arguments and WORK in arguments else None

    # the command starts one that starts another: what the last one holds counts as that of the second
    command = [sys.executable, "-c", START, "-c", START, "-c", WORK, "work", str(file)]
    (held,) = peaks(command, work, tmp_path, os.environ).values()
    alone = watched([sys.executable, "-c", WORK, "work", str(file)], os.environ)
    for private in (held, alone):
        assert OWN << 20 < private < (OWN + MAPPED // 2) << 20


def test_a_stage_is_known_by_the_arguments_of_its_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from pipeline import stage_of

    assert stage_of(["python", "-m", "hiddenstates.run", "strategies@tiny", ""]) == "strategies"
    assert stage_of(["/bin/sh", "-c", "python -m hiddenstates.run strategies@tiny", ""]) is None
    assert stage_of(["python", "-m", "hiddenstates.pipeline.inputs", ""]) is None

import subprocess
import sys

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
    command = [sys.executable, "benchmarks/scale.py", "--quick", "--parts", "encode,IVF"]  # Flat and PQ: the same doors
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    summaries = [line.partition(": growth ")[0] for line in lines if ": growth " in line]
    assert summaries == [
        "encode passages",
        "encode short",
        "build IVF",
        "search IVF",
    ]
    assert sum("MB on disk  peak" in line for line in lines) == 8
    assert any("goal 2000 MB, ratio" in line for line in lines)


def test_the_search_space_s_benchmark_still_runs() -> None:
    command = [sys.executable, "benchmarks/search_space.py", "--quick", "--threads", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (cost,) = [line for line in done.stdout.splitlines() if "scored on all passages" in line]
    assert "looked at of 3.36e+08" in cost

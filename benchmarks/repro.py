"""The whole pipeline, one stage at a time and two side by side, each in a fresh clone of HEAD: half an hour.

Run: python benchmarks/repro.py

On two cores a stage has two threads where it is alone, and one beside another. What DVC records is the same, which is
checked; the seconds are those of `make repro` once the environment is there.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from hiddenstates.verify import clone_head, differences, hashes


def measured(jobs: int, clone: Path) -> float:
    """The seconds that it takes there."""
    environment = clone_head(clone)
    start = perf_counter()
    command = [sys.executable, "-m", "hiddenstates.pipeline.repro", "--jobs", str(jobs)]
    subprocess.run(command, cwd=clone, env=environment, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - start


def main() -> None:
    with TemporaryDirectory() as folder:
        clones = {jobs: Path(folder, f"{jobs}") for jobs in (1, 2)}
        seconds = {jobs: measured(jobs, clone) for jobs, clone in clones.items()}
        changed = differences(*map(hashes, clones.values()))
    for jobs, took in seconds.items():
        print(f"{jobs} at a time: {took:4.0f} s")
    print(f"ratio {seconds[2] / seconds[1]:.2f}")
    print(*changed or ["Both left the same bytes."], sep="\n")


if __name__ == "__main__":
    main()

"""`python -m hiddenstates.verify`: does the record come out again? The whole pipeline, in a clone of HEAD.

As recorded in dvc.lock, every output is compared by its hash, executed notebooks included. On another number of threads
sums are rounded otherwise, so there the stages' numbers are compared instead, to their printed digits.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import ROOT
from hiddenstates.core.stage import DETAILS, METRICS

Recorded = Mapping[str, Any]
"""What is compared, by name."""


def differences(before: Recorded, after: Recorded) -> list[str]:
    """A line for each name whose value is not the same in both, or that only one has."""
    names = sorted(before.keys() | after.keys())
    pairs = {name: (before.get(name, "nothing"), after.get(name, "nothing")) for name in names}
    return [f"{name}: {old} was recorded, {new} came out" for name, (old, new) in pairs.items() if old != new]


def hashes(folder: Path) -> Recorded:
    """The hash of each output that dvc.lock lists, by its path."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


def numbers(folder: Path) -> Recorded:
    """Each number of each metrics.json and details.json under out/, by the file and its place there."""
    files = sorted(path for name in (METRICS, DETAILS) for path in folder.glob(f"out/**/{name}"))
    found = {path.relative_to(folder): json.loads(path.read_text(encoding="utf-8")) for path in files}
    return {f"{path}: {place}": number for path, read in found.items() for place, number in _leaves(read)}


def verify(threads: int | None) -> list[str]:
    """What differs. threads: None for those of the record; else the numbers are compared, on so many."""
    look = hashes if threads is None else numbers
    with TemporaryDirectory(prefix="hiddenstates-") as folder:
        clone = Path(folder) / "clone"
        environment = clone_head(clone, threads)
        before = look(clone)
        # --no-commit: the outputs are hashed, not copied to a cache that nobody reads
        subprocess.run(["dvc", "repro", "--force", "--no-commit"], cwd=clone, env=environment, check=True)
        return differences(before, look(clone))


def clone_head(clone: Path, threads: int | None = None) -> dict[str, str]:
    """Clone HEAD to this folder; return the environment in which the clone's code runs. threads: as for `verify`"""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    environment = environment_of(clone, threads)
    check_root(clone, environment)
    return environment


def environment_of(clone: Path, threads: int | None) -> dict[str, str]:
    """This environment, with the clone's code before the installed one, this interpreter's commands before others, and
    nothing else of the lab's.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("HIDDENSTATES_")}
    counts = {} if threads is None else dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads))
    commands = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return own | counts | {"PYTHONPATH": str(clone / "src"), "PATH": commands}


def check_root(clone: Path, environment: Mapping[str, str]) -> None:
    """LabError if another copy of the lab would run than the clone's."""
    command = ["python", "-c", "from hiddenstates.core.paths import ROOT; print(ROOT)"]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=True)
    found = done.stdout.strip()
    if Path(found) != clone.resolve():
        raise LabError(f"verify: the code of {found} would run, not that of {clone}. Run it as `make verify`.")


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """(place, value) of all that is no mapping and no list."""
    if not isinstance(value, dict | list):
        yield place, value
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(inner, f"{place}.{key}".strip("."))


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the whole pipeline again, in a clone, and compare.")
    parser.add_argument("--threads", type=int, help="compare the numbers on so many threads, instead of every byte")
    threads = parser.parse_args().threads
    try:
        found = verify(threads)
    except (LabError, subprocess.CalledProcessError) as error:  # what git or dvc had to say, they have said
        sys.exit(f"error: {error}")
    print(*found or ["What is recorded is what came out."], sep="\n")
    sys.exit(f"error: {len(found)} differ." if found else 0)


if __name__ == "__main__":
    main()

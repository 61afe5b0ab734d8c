"""`python -m hiddenstates.pipeline.repro`: `dvc repro`, but stages that do not need one another run side by side.

DVC runs one stage at a time. For more, its reference of `dvc repro` says under "Parallel stage execution", start it
several times. So this starts `dvc repro --single-item` for each stage as soon as the stages that it needs are through.
What DVC records is the same. The stages' kernels are forked from one process (`forks`), which imports what they all
would.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TextIO

from hiddenstates.core.errors import LabError
from hiddenstates.pipeline import forks
from hiddenstates.pipeline.kernel import ENVIRONMENT

FIRST = "inputs"
"""The stage that always runs, and tells which of the others have changed."""

DVC = (sys.executable, "-m", "dvc", "--wait-for-lock")
EDGE = re.compile(r'"([^"]+)" -> "([^"]+)";')
NODE = re.compile(r'"([^"]+)";')
SELDOM = 10
"""Seconds between two lines of one progress bar."""

Needs = Mapping[str, set[str]]
"""The stages that each stage waits for, in the order of dvc.yaml."""


def repro(jobs: int) -> None:
    """Bring every stage up to date, so many at once. LabError names the stages that failed."""
    environment = ENVIRONMENT | one_thread_each(jobs) | os.environ
    with forks.kernels(environment) as found:
        _repro(jobs, partial(_run_stage, environment=environment | found))


def _repro(jobs: int, run: Callable[[str], bool]) -> None:
    needs = read_needs(_dvc("dag", "--dot"))
    if FIRST in needs and not run(FIRST):
        raise LabError(f"{FIRST}: failed, as said above.")
    changed = changed_stages(needs, set(json.loads(_dvc("status", "--json"))) - {FIRST})
    print(f"{len(changed)} of {len(needs)} stages may have changed.", flush=True)
    failed = run_side_by_side(needs, changed, jobs, run)
    if failed:
        raise LabError(f"{', '.join(failed)}: failed, as said above. Mend it, and run this again: what is done stays.")


def one_thread_each(jobs: int) -> dict[str, str]:
    """The environment of stages that have less than two cores each: on two threads they would only wait."""
    few = (os.cpu_count() or 1) < 2 * jobs
    return dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1") if few else {}


def read_needs(dot: str) -> Needs:
    """Of what `dvc dag --dot` prints: a node per stage, and an edge to each stage from each that it needs."""
    edges = EDGE.findall(dot)
    nodes = [node.group(1) for line in dot.splitlines() if (node := NODE.fullmatch(line.strip()))]
    return {stage: {before for before, after in edges if after == stage} for stage in nodes}


def changed_stages(needs: Needs, changed: set[str]) -> set[str]:
    """These, and all that need one of them, or need one that needs one."""
    more = changed | {stage for stage, before in needs.items() if before & changed}
    return more if more == changed else changed_stages(needs, more)


def run_side_by_side(needs: Needs, changed: set[str], jobs: int, run: Callable[[str], bool]) -> list[str]:
    """Run each changed stage once those that it needs are through; return the ones that failed.

    Of those that may run, the one with the longest way to the end goes first. After a failure none is started.
    """
    left = sorted((stage for stage in needs if stage in changed), key=lambda stage: -_way(needs, stage))
    failed: list[str] = []
    running: dict[Future[bool], str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        while running or (left and not failed):
            waiting = {*left, *running.values()}
            ready = [] if failed else [stage for stage in left if not needs[stage] & waiting]
            for stage in ready[: jobs - len(running)]:
                left.remove(stage)
                running[pool.submit(run, stage)] = stage
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(future)
                if not future.result():
                    failed.append(stage)
    return failed


def _way(needs: Needs, stage: str) -> int:
    """How many stages follow one another from this one to the end."""
    return 1 + max((_way(needs, later) for later, before in needs.items() if stage in before), default=0)


def _run_stage(stage: str, environment: Mapping[str, str]) -> bool:
    """Whether it went well. What it prints comes out line by line, under the name of the stage."""
    start = time.monotonic()
    command = [*DVC, "repro", "--quiet", "--single-item", stage]
    _say(f"{stage} | started")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:
        assert process.stdout
        _pass_on(io.TextIOWrapper(process.stdout, encoding="utf-8", errors="replace", newline=""), stage)
    well = process.returncode == 0
    _say(f"{stage} | {'done' if well else 'failed'}, {time.monotonic() - start:.0f} s")
    return well


def _pass_on(lines: TextIO, stage: str) -> None:
    """Every line; of a progress bar, which overwrites its line, one now and then."""
    told = time.monotonic()
    for line in lines:
        moving = line.endswith("\r")
        if line.strip() and not (moving and time.monotonic() - told < SELDOM):
            told = time.monotonic() if moving else told
            _say(f"{stage} | {line.strip()}")


def _say(line: str) -> None:
    """In one piece: `print` writes the end of a line by itself, and another stage may speak between."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _dvc(*arguments: str) -> str:
    """What DVC prints. LabError where it fails: what is wrong it says itself."""
    done = subprocess.run([*DVC, *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise LabError(f"`dvc {' '.join(arguments)}` failed, as said above.")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description="`dvc repro`, with stages that do not need one another side by side.")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="stages at once (default: 2)")
    jobs = parser.parse_args().jobs
    if jobs < 1:
        sys.exit(f"error: --jobs {jobs}: choose 1 or more.")
    try:
        repro(jobs)
    except LabError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:  # the stages that run are interrupted, too
        sys.exit("Interrupted. Run this again: what is done stays.")


if __name__ == "__main__":
    main()

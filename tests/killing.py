"""Kill -9 at moments drawn by a seed, and what comes of it."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from own_pipeline import Files, Pipeline, Process

from hiddenstates.run import notebook_of, run_stage

SEED = 2
KEEPING = ("pretrain", "states", "images")
"""Stages that keep what they have done, for a run that goes on from there."""


@dataclass(frozen=True)
class Kill:
    """A run that was killed, and the next one, which was not.

    seen: what a reader found between the two
    kept: the first file that the killed run kept, where it keeps its work
    anew: whether the next run made that file once more
    """

    seen: Files
    kept: Path | None = None
    anew: bool = False


def killed_and_run(pipeline: Pipeline, stage: str) -> Kill:
    """Kill a stage at a moment drawn for it, then run it through."""
    draw = random.Random(f"{SEED} {stage}")
    if stage in KEEPING:
        # the first is whole, and not to be written again, when there is a second
        kill_when(lambda: len(pipeline.kept(stage)) > 1, pipeline.start_stage(stage, forked=False), draw)
        seen, (first, *_) = pipeline.made(), pipeline.kept(stage)
        return Kill(seen, first, is_replaced_by(pipeline.start_stage(stage), first))
    cell = draw.randrange(len(nbformat.read(notebook_of(stage.partition("@")[0]), as_version=4).cells))
    kill_when(lambda: pipeline.cells_through(stage) >= cell, pipeline.start_stage(stage, forked=False), draw)
    seen = pipeline.made()
    run_stage(stage)
    return Kill(seen)


def kill_when(begun: Callable[[], bool], process: Process, draw: random.Random) -> None:
    """Kill it within a second after that; or not, if it is through by then."""
    while process.poll() is None:
        with suppress(FileNotFoundError):  # what is looked at is renamed at the end
            if begun():
                break
        time.sleep(0.02)
    time.sleep(draw.random())
    if process.poll() is None:
        draw.choice([kill_all, kill_alone])(process)


def kill_all(process: Process) -> None:
    """It and all that it started at once, as when the machine goes down."""
    parent = psutil.Process(process.pid)
    parent.suspend()  # or it might start another after those that are found
    for one in [parent, *parent.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            one.kill()
    process.wait()


def kill_alone(process: Process) -> None:
    """Of a runner, its kernel does not know yet."""
    process.kill()
    process.wait()


def is_replaced_by(process: Process, file: Path) -> bool:
    """Wait until the process is through: did it write the file once more before it removed it?"""
    inodes = {file.stat().st_ino}
    while process.poll() is None:
        with suppress(FileNotFoundError):
            inodes.add(file.stat().st_ino)
        time.sleep(0.01)
    assert process.returncode == 0
    return len(inodes) > 1

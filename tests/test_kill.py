"""Kill -9 at any moment: nothing half written is ever read, and the next run is as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from test_notebooks import made

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import claimed_folder

SMALL = {"corpus": {"countries": {"countries": 20, "cities": 0, "views": 1, "questions": 8}}}
MOMENTS = 3
LAST_WORDS = 2.5  # seconds; a kernel looks every second whether its runner lives


class Runner:
    """`python -m hiddenstates.run corpus` on a small corpus, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "out"
        folder.mkdir(parents=True)
        (folder / "params.yaml").write_text(yaml.safe_dump(SMALL), "utf-8")
        self.paths = {"HIDDENSTATES_PARAMS": str(folder / "params.yaml"), "HIDDENSTATES_OUT": str(self.out)}

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "hiddenstates.run", "corpus"]
        return subprocess.Popen(
            command, env=os.environ | self.paths, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def run(self) -> dict[Path, bytes]:
        """Run to the end, and what that made."""
        assert self.start().wait() == 0
        return self.made()

    def made(self) -> dict[Path, bytes]:
        return {path.relative_to(self.out): data for path, data in made(self.out / "corpus").items()}


def kill_all(runner: subprocess.Popen[bytes]) -> None:
    """The runner and its kernel at once, as when the machine goes down."""
    family = [psutil.Process(runner.pid), *psutil.Process(runner.pid).children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGKILL)
    runner.wait()


def kill_the_runner(runner: subprocess.Popen[bytes]) -> None:
    """The runner alone: its kernel does not know yet."""
    runner.kill()
    runner.wait()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[Path, bytes], float]:
    """What a run makes that nobody kills, and how long that takes."""
    start = time.monotonic()
    content = Runner(tmp_path_factory.mktemp("undisturbed") / "lab").run()
    return content, time.monotonic() - start


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    yield Runner(tmp_path_factory.mktemp("killed") / "lab")


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_killed_run_leaves_the_former_results_or_the_new_ones(
    moment: int, runner: Runner, undisturbed: tuple[dict[Path, bytes], float]
) -> None:
    content, seconds = undisturbed
    before = runner.made()
    draw = random.Random(moment)
    process = runner.start()
    time.sleep(seconds * draw.uniform(moment, moment + 1) / MOMENTS)
    if process.poll() is None:
        draw.choice([kill_all, kill_the_runner])(process)
    assert runner.made() in (before, content)


def test_the_next_run_is_as_if_nothing_had_happened(
    runner: Runner, undisturbed: tuple[dict[Path, bytes], float]
) -> None:
    assert runner.run() == undisturbed[0]
    assert [path.name for path in runner.out.iterdir()] == ["corpus"]


def test_a_kernel_ends_with_its_runner(runner: Runner, undisturbed: tuple[dict[Path, bytes], float]) -> None:
    process = runner.start()
    kernels = waited_for(lambda: psutil.Process(process.pid).children(recursive=True))
    kill_the_runner(process)
    _, alive = psutil.wait_procs(kernels, timeout=LAST_WORDS)
    # a zombie has ended; in a container nobody may be there to bury it
    assert [kernel for kernel in alive if kernel.status() != psutil.STATUS_ZOMBIE] == []
    assert runner.made() == undisturbed[0]


def waited_for(look: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    while not (found := look()):
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

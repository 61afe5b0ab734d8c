import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hiddenstates.core.errors import LabError
from hiddenstates.pretrain.side_by_side import side_by_side


def where(tensor: torch.Tensor) -> tuple[torch.Tensor, int, int]:
    return 2 * tensor, os.getpid(), torch.get_num_threads()


def fails(number: int) -> int:
    if number == 1:
        raise LabError("One is too few. Give two.")
    return number


def dies(number: int) -> None:
    os._exit(number)


def test_calls_run_in_other_processes_on_one_thread() -> None:
    (first, one, threads), (second, other, _) = side_by_side(where, [(torch.arange(3),), (torch.ones(2),)])
    assert (first.tolist(), second.tolist(), threads) == ([0, 2, 4], [2.0, 2.0], 1)
    assert os.getpid() not in (one, other)


def test_what_a_call_raises_comes_through() -> None:
    with pytest.raises(LabError, match=r"One is too few\. Give two\."):
        side_by_side(fails, [(1,), (2,)])


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(LabError, match="a training process died, as it does when memory runs out"):
        side_by_side(dies, [(1,)])


CALLER = """
import sys; sys.path.insert(0, sys.argv[1])
from test_side_by_side import wait
from hiddenstates.pretrain.side_by_side import side_by_side
if __name__ == "__main__":
    side_by_side(wait, [(sys.argv[2],)])
"""


def wait(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    time.sleep(120)


def test_the_processes_end_with_a_killed_caller(tmp_path: Path) -> None:
    script = tmp_path / "caller.py"
    script.write_text(CALLER, "utf-8")
    (tmp_path / "seen").mkdir()
    with subprocess.Popen([sys.executable, script, Path(__file__).parent, tmp_path / "seen"]) as caller:
        until(lambda: any((tmp_path / "seen").iterdir()))
        caller.kill()
    (seen,) = (tmp_path / "seen").iterdir()
    until(lambda: not alive(int(seen.name)))


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)

"""Private memory: what processes hold that no file stands behind, so that the system cannot drop it (Linux)."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import sleep

EVERY = 0.02
"""Seconds between two looks: a peak that is shorter may be missed."""


def anonymous(process: int) -> int:
    """Bytes of the process that no file stands behind (RssAnon); 0 of one that has ended."""
    lines = _read(process, "status").decode().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def watched(command: list[str], environment: Mapping[str, str]) -> int:
    """Run the command to its end; the most bytes that were private at once in it, without those that it starts."""
    most = 0
    with subprocess.Popen(command, env=dict(environment)) as running:
        while running.poll() is None:
            most = max(most, anonymous(running.pid))
            sleep(EVERY)
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command)
    return most


def peaks(
    command: list[str], work: Callable[[list[str]], str | None], cwd: Path, environment: Mapping[str, str]
) -> dict[str, int]:
    """Run the command to its end; the most bytes that were private at once below each process that does some work.

    work: by the arguments of a process below the command, what it does; None for one that is of no interest

    The process itself is not counted, nor is it in `ru_maxrss` of its children. CalledProcessError as of `check=True`.
    """
    most: dict[str, int] = {}
    with subprocess.Popen(command, cwd=cwd, env=dict(environment)) as running:
        while running.poll() is None:
            for process in below(running.pid):
                if name := work(arguments(process)):
                    held = sum(anonymous(child) for child in below(process))
                    most[name] = max(most.get(name, 0), held)
            sleep(EVERY)
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command)
    return most


def below(process: int) -> Iterator[int]:
    """The processes that it started, and those that they started."""
    for thread in Path(f"/proc/{process}/task").glob("*"):
        for child in _read(process, f"task/{thread.name}/children").split():
            yield int(child)
            yield from below(int(child))


def arguments(process: int) -> list[str]:
    """What it was started with; nothing of one that has ended."""
    return _read(process, "cmdline").decode(errors="replace").split("\0")


def _read(process: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:  # it has ended
        return b""

"""A kernel of the runner's own interpreter, whatever kernelspecs the user's environment holds."""

import atexit
import gc
import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hiddenstates.pipeline import warm

NAME = "hiddenstates"

THREADS = "2"
ENVIRONMENT = {
    "OMP_NUM_THREADS": THREADS,
    "NUMBA_NUM_THREADS": THREADS,
    "GOMP_SPINCOUNT": "10000",  # where others use the cores, too, spinning without end costs a hundredfold
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
}
"""Of a stage, where its user sets nothing else."""

PEAK = "HIDDENSTATES_PEAK"
"""In a kernel's environment: the file where it notes, as it ends, how much memory it took."""


@dataclass(frozen=True)
class Kernel:
    """name: of its kernelspec; noted: the file of `PEAK`"""

    name: str
    noted: Path

    def peak_memory(self) -> float:
        """The most that it, or a process of its own, held at once, in MB; 0 while it runs, or if it was killed."""
        units = 2**20 if sys.platform == "darwin" else 2**10  # per MB
        return int(self.noted.read_text("utf-8")) / units if self.noted.exists() else 0.0


@contextmanager
def own_kernel() -> Iterator[Kernel]:
    """A kernelspec that starts this interpreter, found before any other while the block lasts.

    A notebook names `python3`, and JUPYTER_PATH or the user's folder may hold a `python3` of another environment,
    without this package.
    """
    before = os.environ.get("JUPYTER_PATH")
    with TemporaryDirectory(prefix="hiddenstates-kernel-") as folder:
        noted = Path(folder, "peak")
        spec = Path(folder, "kernels", NAME)
        spec.mkdir(parents=True)
        (spec / "kernel.json").write_text(json.dumps(_about(noted)), encoding="utf-8")
        os.environ["JUPYTER_PATH"] = os.pathsep.join([folder, *([before] if before else [])])
        try:
            yield Kernel(NAME, noted)
        finally:
            if before is None:
                del os.environ["JUPYTER_PATH"]
            else:
                os.environ["JUPYTER_PATH"] = before


def _about(noted: Path) -> dict[str, object]:
    # its one warning, that it listens on this machine without encryption, is no news to whoever runs a notebook
    quiet = "--IPKernelApp.log_level=ERROR"
    first = f"--IPKernelApp.exec_lines=[\"__import__('{__name__}', fromlist=['begin']).begin()\"]"
    command = [sys.executable, "-m", warm.__name__, quiet, first, "-f", "{connection_file}"]
    return {"argv": command, "env": {PEAK: str(noted)}, "display_name": "Python 3", "language": "python"}


def begin() -> None:
    """The first that a kernel does.

    Garbage is looked for a tenth as often: that takes a sixth of the time in which torch and others import. And not at
    the end, where all goes at once: Python would go through the million objects of those modules first, for a second.
    """
    gc.set_threshold(10_000)
    atexit.register(gc.freeze)
    atexit.register(_note_peak, Path(os.environ[PEAK]))


def _note_peak(noted: Path) -> None:
    used = (resource.getrusage(whose).ru_maxrss for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    noted.write_text(str(max(used)), encoding="utf-8")

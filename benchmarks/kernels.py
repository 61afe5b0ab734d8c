"""What a kernel takes to start, import what a notebook does, and end: by itself, and forked (`pipeline/forks.py`).

Run: python benchmarks/kernels.py

Seconds of each notebook's first cell, in a kernel of its own, as the runner starts it.
"""

import os
import time
from collections.abc import Mapping
from contextlib import redirect_stderr
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from hiddenstates.core.paths import NOTEBOOKS
from hiddenstates.pipeline import forks, warm
from hiddenstates.pipeline.kernel import ENVIRONMENT, own_kernel


def seconds(notebook: Path, environment: Mapping[str, str]) -> float:
    """Of starting a kernel, running the notebook's first cell of code, and ending the kernel."""
    read = nbformat.read(notebook, as_version=4)
    read.cells = [next(cell for cell in read.cells if cell.cell_type == "code")]
    start = time.perf_counter()
    with own_kernel() as kernel:
        NotebookClient(read, kernel_name=kernel.name).execute(env=dict(environment))
    return time.perf_counter() - start


def wait_for(address: Path) -> float:
    start = time.perf_counter()
    while not address.exists():
        time.sleep(0.01)
    return time.perf_counter() - start


def main() -> None:
    alone = os.environ | ENVIRONMENT
    with forks.kernels(alone) as found, redirect_stderr(None):
        print(f"imported once: {wait_for(Path(found[warm.ADDRESS])):.1f} s")
        totals = [0.0, 0.0]
        for notebook in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
            took = [seconds(notebook, environment) for environment in (alone, alone | found)]
            totals = [total + one for total, one in zip(totals, took, strict=True)]
            print(f"{notebook.stem:14} alone {took[0]:5.2f} s  forked {took[1]:5.2f} s  ratio {took[1] / took[0]:.2f}")
        print(f"{'all':14} alone {totals[0]:5.1f} s  forked {totals[1]:5.1f} s  ratio {totals[1] / totals[0]:.2f}")


if __name__ == "__main__":
    main()

"""A kernel of the runner's own interpreter, whatever kernelspecs the user's environment holds."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

NAME = "hiddenstates"

LINES = ["__import__('gc').set_threshold(10_000)", "__import__('atexit').register(__import__('gc').freeze)"]
SELDOM = f"--IPKernelApp.exec_lines={LINES}"
"""Garbage is looked for a tenth as often: that takes a sixth of the time in which torch and others import. And not at
the end, where all goes at once: Python would go through the million objects of those modules first, for a second."""


@contextmanager
def own_kernel() -> Iterator[str]:
    """The name of a kernelspec that starts this interpreter, found before any other while the block lasts.

    A notebook names `python3`, and JUPYTER_PATH or the user's folder may hold a `python3` of another environment,
    without this package.
    """
    before = os.environ.get("JUPYTER_PATH")
    with TemporaryDirectory(prefix="hiddenstates-kernel-") as folder:
        spec = Path(folder, "kernels", NAME)
        spec.mkdir(parents=True)
        # its one warning, that it listens on this machine without encryption, is no news to whoever runs a notebook
        quiet = "--IPKernelApp.log_level=ERROR"
        command = [sys.executable, "-m", "ipykernel_launcher", quiet, SELDOM, "-f", "{connection_file}"]
        about = {"argv": command, "display_name": "Python 3", "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(about), encoding="utf-8")
        os.environ["JUPYTER_PATH"] = os.pathsep.join([folder, *([before] if before else [])])
        try:
            yield NAME
        finally:
            if before is None:
                del os.environ["JUPYTER_PATH"]
            else:
                os.environ["JUPYTER_PATH"] = before

"""Progress bars: the one door to tqdm."""

import os
import sys
from collections.abc import Iterable
from multiprocessing import parent_process
from typing import Any

import tqdm as plain
from tqdm import auto

from hiddenstates.core.stage import WRITE_TO

DELAY = 0.5  # seconds: what is through before then needs no bar
SCALED = ("tokens",)
"""Units that come by the thousand: written as 12.3k."""


def bar(
    items: Iterable[Any] | None = None,
    what: str = "",
    total: float | None = None,
    *,
    unit: str,
    initial: int = 0,
    disable: bool = False,
) -> Any:
    """Over the items, or to be updated up to the total: what is done, how much of it, how many per second.

    In a notebook that is opened by hand a widget, which goes when it is through and leaves nothing on stderr:
    JupyterLab shows an emptied stderr as a pink box. In a terminal, and in the pipeline, whose notebooks nobody
    watches, a line on stderr, which the runner passes on and `pipeline.scrub` takes out of the notebook.

    what:  is done; unit: what it counts; disable: no bar at all, as TQDM_DISABLE=1 says of all of them
    """
    kind = plain.tqdm if WRITE_TO in os.environ else auto.tqdm
    return kind(
        items,
        what,
        total,
        unit=f" {unit}",
        unit_scale=unit in SCALED,
        initial=initial,
        leave=False,
        delay=DELAY,
        **({"disable": True} if disable or _would_stain() else {}),
    )


def _would_stain() -> bool:
    """Whether this is a process that a notebook opened by hand started: what it writes comes out there as stderr."""
    return parent_process() is not None and WRITE_TO not in os.environ and not sys.stderr.isatty()

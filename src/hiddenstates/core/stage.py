"""What a notebook knows of the pipeline: where to read, where to write.

In the pipeline (`python -m hiddenstates.run <stage>`) that is `out/`. Opened by hand, a notebook reads small samples
made on the spot, or `out/` if it asks for that, and writes to a temporary folder: "Run All" touches nothing.
"""

import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import out_folder

if TYPE_CHECKING:
    from IPython.display import Markdown

WRITE_TO = "HIDDENSTATES_STAGE"
"""Environment variable in which the runner names the folder that a stage writes to."""

DIGITS = 4
"""Numbers are printed to so many digits: what lies beyond differs between processors."""

METRICS = "metrics.json"
"""A stage's headlines: the few numbers that one compares between two runs. `dvc metrics` reads these files."""

DETAILS = "details.json"
"""All its other numbers: intervals, tests, tables per set and per group."""


@dataclass(frozen=True)
class Stage:
    """One stage, as its notebook sees it.

    folder: where it writes
    inputs: what the earlier stages wrote
    sample: whether these are small samples, each made when it is first asked for
    """

    name: str
    folder: Path
    inputs: Path
    sample: bool = False

    def upstream(self, stage: str) -> Path:
        """The folder that an earlier stage wrote. LabError where it has not run."""
        if self.sample:
            # by name, so that what only samples need is no dependency of a stage of the pipeline
            importlib.import_module("hiddenstates.preview").ensure(stage, self.inputs)
        elif WRITE_TO not in os.environ and not (self.inputs / stage).exists():
            raise LabError(f"{self.inputs / stage}: the stage has left nothing there. Run it, or ask for the sample.")
        return self.inputs / stage

    @property
    def progress(self) -> Path:
        """Where it keeps work until it is through: beside the stages, because the runner empties its own folder."""
        return self.inputs / ".progress" / self.name

    def forget_progress(self) -> None:
        """It is through."""
        shutil.rmtree(self.progress, ignore_errors=True)

    def verdict(self, text: str) -> "Markdown":
        """What the notebook's last cell shows; of a sample it says so."""
        from IPython.display import Markdown  # slow to import, and the runner needs none

        told = "\n\n*These are the results of a small sample, made on the spot: the pipeline's are in `out/`.*"
        return Markdown(text + told * self.sample)

    def figure(self, name: str, timed: bool = False) -> Path:
        """Where a figure of this stage goes: figures/<name>.png; timed/<name>.png if it shows timings."""
        folder = self.folder / ("timed" if timed else "figures")
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.png"

    def write_numbers(self, headlines: Mapping[str, Any], details: Mapping[str, Any]) -> None:
        """As `write_numbers` does, in this stage's folder."""
        write_numbers(self.folder, headlines, details)

    def write_timings(self, timings: Mapping[str, Any]) -> None:
        """timings.json: what differs from run to run, and so is no metric."""
        add_timings(self.folder, timings)


NOTHING = "nothing.txt"
"""Alone in a folder for which the data gave nothing: the sentence that says why. (DVC warns of empty folders.)"""


def made(folder: Path) -> bool:
    """Whether an earlier stage left anything there but the sentence that says why it did not."""
    return folder.is_dir() and any(path.name != NOTHING for path in folder.iterdir())


def write_numbers(folder: Path, headlines: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """metrics.json and details.json of a stage's folder, floats rounded to `DIGITS`.

    Raises LabError for NaN and infinity, which JSON cannot hold, and for a name in both; then neither is written.
    """
    if twice := headlines.keys() & details.keys():
        raise LabError(f"{', '.join(sorted(twice))}: both a headline and a detail. Give one of them another name.")
    texts = {name: _text(name, numbers) for name, numbers in ((METRICS, headlines), (DETAILS, details))}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def read_numbers(folder: Path) -> dict[str, Any]:
    """All numbers that a stage left in its folder, headlines and details alike; none where it has not run.

    Raises LabError where they cannot be read.
    """
    numbers: dict[str, Any] = {}
    for path in (folder / METRICS, folder / DETAILS) if (folder / METRICS).exists() else ():
        try:
            numbers |= json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError) as error:
            raise LabError(f"{path} cannot be read ({error}). Run the stage again.") from error
    return numbers


def add_timings(folder: Path, timings: Mapping[str, Any]) -> None:
    """Add to the timings.json of a stage's folder, floats rounded to `DIGITS`."""
    path = folder / "timings.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(_text(path.name, known | dict(timings)), encoding="utf-8")


def open_stage(name: str, by_hand: Literal["sample", "out"] = "sample") -> Stage:
    """The stage whose notebook this is.

    by_hand: what a notebook reads that the pipeline does not run: a small sample, or what the pipeline left in `out/`
    """
    if WRITE_TO in os.environ:
        return Stage(name, Path(os.environ[WRITE_TO]), out_folder())
    folder = Path(tempfile.mkdtemp(prefix="hiddenstates-"))
    (folder / name).mkdir()
    sample = by_hand == "sample"
    told = "a small sample, nothing of out/ is read or written" if sample else "reads out/, and writes nothing there"
    print(f"Opened by hand: {told}. Results go to {folder / name}")
    return Stage(name, folder / name, folder if sample else out_folder(), sample)


def _text(file: str, numbers: Mapping[str, Any]) -> str:
    return json.dumps(_rounded(numbers, f"{file}: "), indent=2, ensure_ascii=False) + "\n"


def _rounded(value: Any, place: str) -> Any:
    """place: what to call it, ending with what separates it from the names below it"""
    if isinstance(value, Mapping):
        return {str(key): _rounded(inner, f"{place}{key}.") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner, f"{place}{i}.") for i, inner in enumerate(value)]
    if hasattr(value, "item"):  # one of numpy's numbers
        value = value.item()
    if not isinstance(value, float):
        return value
    if not isfinite(value):
        raise LabError(f"{place[:-1]} is {value}. There was nothing to measure: leave it out, or find out why.")
    return round(value, DIGITS) + 0.0  # never -0.0: the sign of nothing differs between processors

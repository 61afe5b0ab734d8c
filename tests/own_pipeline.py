"""The pipeline in a folder of a test's own, with its own params."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from architecture import Repository, paths

from hiddenstates.core.paths import ROOT
from hiddenstates.pipeline import warm

Process = subprocess.Popen[bytes]
Files = dict[Path, bytes]
STAGES = Repository(ROOT).stages.values()
OUTPUTS = [path for stage in STAGES for path in paths(stage["outs"] + stage["metrics"] + stage["plots"])]
DECLARED = [path.removeprefix("out/").replace("${key}", "*") for path in OUTPUTS]


class Pipeline:
    """A params.yaml, and the folder that the stages write to."""

    def __init__(self, folder: Path, params: Mapping[str, Any]) -> None:
        self.folder, self.out = folder, folder / "out"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "params.yaml").write_text(yaml.safe_dump(dict(params), sort_keys=False), "utf-8")
        self.environment = {"HIDDENSTATES_PARAMS": str(folder / "params.yaml"), "HIDDENSTATES_OUT": str(self.out)}

    def start(self, *command: str, forked: bool = True) -> Process:
        """`python -m <command>`, here.

        forked: whether kernels may be forked by the server of all tests; if not, all that it starts comes below it, and
                can be killed with it at once
        """
        environment = os.environ | self.environment
        if not forked:
            environment.pop(warm.ADDRESS, None)
        return subprocess.Popen([sys.executable, "-m", *command], cwd=self.folder, env=environment)

    def start_stage(self, stage: str, forked: bool = True) -> Process:
        """As dvc.yaml does."""
        return self.start("hiddenstates.run", stage, forked=forked)

    def made(self, stage: str = "") -> Files:
        """What is there of a stage, or of all, of what dvc.yaml declares; by the path in `out`."""
        files = (path for path in (self.out / stage.replace("@", "/")).rglob("*") if path.is_file())
        named = {path.relative_to(self.out): path for path in files}
        return {name: path.read_bytes() for name, path in named.items() if _is_declared(name)}

    def cells_through(self, stage: str) -> int:
        """How many cells the run that is going on has behind it, as papermill notes after each."""
        noted = [path.read_bytes() for path in self.out.glob(f".{stage}.*.partial/notebook.ipynb")]
        return sum(text.count(b'"status": "completed"') for text in noted)

    def kept(self, stage: str) -> list[Path]:
        """What a run keeps of its work, for one that goes on from there; the oldest first."""
        return sorted(self.out.glob(f".progress/{stage}/**/*.safetensors"), key=lambda path: path.stat().st_mtime_ns)


def _is_declared(name: Path) -> bool:
    """DVC knows nothing of work that is not through, nor of what the clock says, which is another thing each time."""
    return any(part.match(declared) for part in [name, *name.parents] for declared in DECLARED)

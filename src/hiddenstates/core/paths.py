"""Every path of the lab, computed once from this file, so that the caller's folder never matters."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOKS = ROOT / "notebooks"


def out_folder() -> Path:
    """Where the stages leave what they make: `out/`, or the folder that HIDDENSTATES_OUT names."""
    return Path(os.environ.get("HIDDENSTATES_OUT", ROOT / "out"))


def scratch_folder() -> Path | None:
    """For passing files that may be larger than memory: what the system calls temporary may itself be memory.

    None, which means that folder of the system's, where nothing was made yet.
    """
    return out_folder() if out_folder().is_dir() else None


def resolved(name: str) -> Path:
    """A path that params.yaml names: absolute or from the repository's root; `out/...` is where the stages write."""
    path = Path(name)
    return out_folder() / path.relative_to("out") if path.parts[:1] == ("out",) else ROOT / path


def params_file() -> Path:
    """The knobs: `params.yaml`, or the file that HIDDENSTATES_PARAMS names (the tests' small ones)."""
    return Path(os.environ.get("HIDDENSTATES_PARAMS", ROOT / "params.yaml"))

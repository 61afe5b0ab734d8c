"""`python -m hiddenstates.pipeline.inputs`: what each stage reads that no other stage made, as files that DVC compares.

DVC sees neither what a notebook imports nor what params.yaml points to. So before anything else a stage that always
runs, in less than a second, writes out/inputs/<stage>.txt: a line per module, per file of the user's data and models,
and per setting that another file or section decides. A comment or a docstring changes nothing there.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiddenstates.core.errors import LabError
from hiddenstates.core.params import SECTIONS, load_params, shipped
from hiddenstates.core.paths import NOTEBOOKS, ROOT, out_folder, params_file, resolved
from hiddenstates.pipeline.code import PACKAGE, Code, imports, module_hash, notebook_hash
from hiddenstates.pipeline.memory import Memory
from hiddenstates.pipeline.settings import settled

RUNNER = {f"{PACKAGE}.{name}" for name in ("run", "pipeline.scrub", "core.stage", "pipeline.idle", "pipeline.settings")}
MEMORY = ".inputs.json"


@dataclass(frozen=True)
class RememberedCode(Code):
    """The package's code, each module read again only when its file changed."""

    memory: Memory

    def imported(self, path: Path) -> set[str]:
        return set(self._known(path)["imports"])

    def hash(self, module: str) -> str:
        return str(self._known(self.modules[module])["hash"])

    def _known(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = self.memory.of(path, _look)
        return found


def _look(path: Path) -> dict[str, Any]:
    source = path.read_text("utf-8")
    return {"imports": sorted(imports(source)), "hash": module_hash(source)}


def write_inputs() -> None:
    """out/inputs/<stage>.txt for every stage. LabError for a params.yaml that is not sound."""
    sections = load_params(params_file())
    folder = out_folder() / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    memory = Memory(out_folder() / MEMORY)
    code = RememberedCode(ROOT, memory)
    for stage in SECTIONS:
        settings = settled(stage, sections)
        own = {f"{stage}, as shipped": shipped(stage)}  # which params.yaml may leave out
        lines = [
            *_code(code, stage),
            *_files(settings.paths, memory),
            *_settings(settings.values | settings.reads | own),
        ]
        (folder / f"{stage}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    memory.save()


def _code(code: RememberedCode, stage: str) -> Iterator[str]:
    notebook = next(NOTEBOOKS.glob(f"[0-9][0-9]_{stage}.ipynb"))
    yield f"notebook {notebook.name} {notebook_hash(notebook)}"
    for name in sorted(code.behind(notebook) | RUNNER):
        yield f"module {name} {code.hash(name)}"


def _settings(values: Mapping[str, Any]) -> Iterator[str]:
    return (f"setting {name} {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())


def _files(paths: Mapping[str, str], memory: Memory) -> Iterator[str]:
    """A line per file at or under each path that params.yaml names, and one per path that is not there."""
    for key, name in paths.items():
        path = resolved(name)
        if not path.exists():
            yield f"file {key} {name} is not there"
        for file in sorted(_under(path)):
            within = "" if file == path else f"/{file.relative_to(path).as_posix()}"
            yield f"file {key} {name}{within} {memory.of(file, _digest)}"


def _under(path: Path) -> Iterator[Path]:
    """The file itself, or all files of the folder that are not hidden; links are followed, but not in a circle."""
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if not name.startswith(".") and Path(folder, name).is_file())


def _digest(file: Path) -> str:
    """The first 16 digits of the file's SHA-256."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def main() -> None:
    try:
        write_inputs()
    except LabError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

"""`python -m hiddenstates.pipeline.inputs`: what each stage reads that no other stage made, as files that DVC compares.

DVC sees neither what a notebook imports nor what params.yaml points to. So before anything else a stage that always
runs, in less than a second, writes out/inputs/<stage>.txt: a line per module, per file of the user's data and models,
and per setting that another section decides. A comment or a docstring changes nothing there.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import sha256
from hiddenstates.core.params import SECTIONS, load_params
from hiddenstates.core.paths import NOTEBOOKS, ROOT, out_folder, params_file, resolved
from hiddenstates.pipeline.code import PACKAGE, Code, module_hash, notebook_hash
from hiddenstates.pipeline.settings import settled

RUNNER = {f"{PACKAGE}.{name}" for name in ("run", "core.scrub", "core.stage", "pipeline.idle", "pipeline.settings")}
MEMORY = ".inputs.json"
"""Beside the stages: size, time of change and hash of each file, so that a file is read again only when it changed."""

Digests = dict[str, list[Any]]


def write_inputs() -> None:
    """out/inputs/<stage>.txt for every stage. LabError for a params.yaml that is not sound."""
    sections = load_params(params_file())
    known = _remembered()
    seen: Digests = {}
    folder = out_folder() / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    code = Code(ROOT)
    hashes = {name: module_hash(path.read_text("utf-8")) for name, path in code.modules.items()}
    for stage in SECTIONS:
        settings = settled(stage, sections)
        lines = [
            *_code(code, hashes, stage),
            *_files(settings.paths, known, seen),
            *_settings(settings.values | settings.reads),
        ]
        (folder / f"{stage}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out_folder() / MEMORY).write_text(json.dumps(seen), encoding="utf-8")


def _code(code: Code, hashes: Mapping[str, str], stage: str) -> Iterator[str]:
    notebook = next(NOTEBOOKS.glob(f"[0-9][0-9]_{stage}.ipynb"))
    yield f"notebook {notebook.name} {notebook_hash(notebook)}"
    for name in sorted(code.behind(notebook) | RUNNER):
        yield f"module {name} {hashes[name]}"


def _settings(values: Mapping[str, Any]) -> Iterator[str]:
    return (f"setting {name} {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())


def _files(paths: Mapping[str, str], known: Digests, seen: Digests) -> Iterator[str]:
    """A line per file at or under each path that params.yaml names, and one per path that is not there."""
    for key, name in paths.items():
        path = resolved(name)
        if not path.exists():
            yield f"file {key} {name} is not there"
        for file in sorted(_under(path)):
            within = "" if file == path else f"/{file.relative_to(path).as_posix()}"
            yield f"file {key} {name}{within} {_digest(file, known, seen)}"


def _under(path: Path) -> Iterator[Path]:
    """The file itself, or all files of the folder that are not hidden; links are followed, but not in a circle."""
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if not name.startswith(".") and Path(folder, name).is_file())


def _digest(file: Path, known: Digests, seen: Digests) -> str:
    """The first 16 digits of the file's SHA-256, from memory where size and time of change are the same."""
    stat = file.stat()
    mark = [stat.st_size, stat.st_mtime_ns]
    before = known.get(str(file))
    digest = before[2] if before and before[:2] == mark else sha256(file)[:16]
    seen[str(file)] = [*mark, digest]
    return str(digest)


def _remembered() -> Digests:
    try:
        found = json.loads((out_folder() / MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    sound = isinstance(found, dict) and all(isinstance(v, list) and len(v) == 3 for v in found.values())
    return found if sound else {}


def main() -> None:
    try:
        write_inputs()
    except LabError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

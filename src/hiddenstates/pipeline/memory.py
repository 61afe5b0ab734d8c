"""What was found in a file, kept until the file changes: nothing is read twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Memory:
    """By path: size, time of change, and what was made of the file then. Only what was asked for is kept."""

    def __init__(self, path: Path) -> None:
        self._path, self._known = path, _read(path)
        self._seen: dict[str, list[Any]] = {}

    def of(self, file: Path, make: Callable[[Path], Any]) -> Any:
        """What `make` makes of the file; it must be JSON, and the same kind for a file each time."""
        stat = file.stat()
        mark = [stat.st_size, stat.st_mtime_ns]
        before = self._seen.get(str(file)) or self._known.get(str(file))
        found = before[2] if before and before[:2] == mark else make(file)
        self._seen[str(file)] = [*mark, found]
        return found

    def save(self) -> None:
        partial = self._path.with_name(f"{self._path.name}.partial")
        partial.write_text(json.dumps(self._seen), encoding="utf-8")
        partial.replace(self._path)


def _read(path: Path) -> dict[str, list[Any]]:
    """What `save` wrote; nothing of a file that is not there, or that is something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    sound = isinstance(found, dict) and all(isinstance(v, list) and len(v) == 3 for v in found.values())
    return found if sound else {}

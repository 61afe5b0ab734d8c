"""Texts by themselves: one per line, or of a file that says more about each."""

import sys
from pathlib import Path

from hiddenstates.core.errors import LabError
from hiddenstates.corpora.passages import read_passages

TABLES = (".jsonl", ".csv", ".parquet")


def read_texts(path: Path) -> tuple[list[str], list[str]]:
    """Ids and texts of a file, or of standard input (`-`).

    path: JSONL, CSV or Parquet, as `read_passages` has it, title before text; anything else has one text per line, and
          lines are numbered from 0
    """
    if path.suffix in TABLES:
        kb = read_passages(path)
        return kb.ids, kb.texts()
    lines = read_lines(path)
    return [str(i) for i in range(len(lines))], lines


def read_lines(path: Path) -> list[str]:
    """One text per line, empty ones too; as Windows writes lines, too, and with a byte order mark."""
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        lines = raw.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path}: cannot be read as UTF-8 text ({error}). Save it as UTF-8.") from error
    lines = lines[:-1] if lines[-1] == "" else lines
    if not lines:
        raise LabError(f"{path}: no texts in it. Write one per line.")
    return lines

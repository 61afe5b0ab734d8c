"""What a file of an image holds, whatever it is called."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from hiddenstates.core.files import sha256


def contents(root: Path, images: Iterable[str]) -> dict[str, str]:
    """Image name -> the SHA-256 of its file, or the name itself where no file is. "" is skipped."""
    named = {name: root / name for name in images if name}
    return {name: sha256(path) if path.is_file() else name for name, path in named.items()}


def first_names(held: Mapping[str, str]) -> dict[str, str]:
    """Image name -> the first name with the same content. held: as `contents` gives it"""
    first: dict[str, str] = {}
    return {name: first.setdefault(content, name) for name, content in held.items()}

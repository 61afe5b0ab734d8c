"""Files whose content can be named, and tensors that come back as they were."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file


def sha256(path: Path) -> str:
    """The file's SHA-256, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tensors(tensors: Mapping[str, np.ndarray], path: Path, about: str | None = None) -> None:
    """A safetensors file, `about` in its header.

    Every array is laid out row by row first: safetensors writes an array's bytes as they lie in memory, and one that a
    selection or a transposition left in another order would come back with its numbers in other places.
    """
    # one key: the header keeps no order between several, and the file must come out the same twice
    metadata = None if about is None else {"about": about}
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path, metadata=metadata)

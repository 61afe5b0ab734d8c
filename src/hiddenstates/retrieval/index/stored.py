"""The files of an index: the manifest that vouches for them, and those of a large one, read where they lie on disk."""

import errno
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import Any, overload

import faiss
import pyarrow as pa

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import sha256

IDS = "ids.arrow"
LISTS = "lists.ivfdata"
WORDS = "words.safetensors"
WORDS_PART = "words"
"""Of a large index: words-00000.safetensors, and so on."""


class StoredIds(Sequence[str]):
    """Ids in an Arrow file, memory-mapped: as a list, 12 million of them would take most of a gigabyte."""

    def __init__(self, path: Path) -> None:
        self._column = pa.ipc.open_file(pa.memory_map(str(path))).read_all()["id"]

    def __len__(self) -> int:
        return len(self._column)

    def __iter__(self) -> Iterator[str]:
        return (id for chunk in self._column.iterchunks() for id in chunk.to_pylist())

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        found = self._column[place]
        return found.to_pylist() if isinstance(place, slice) else found.as_py()


def write_ids(parts: Iterable[Sequence[str]], path: Path) -> None:
    """What `StoredIds` reads; one part in memory at a time."""
    schema = pa.schema({"id": pa.string()})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for ids in parts:
            writer.write_batch(pa.record_batch([pa.array(ids, pa.string())], schema=schema))


def open_index(files: Sequence[Path]) -> Any:
    """The faiss index in these files, memory-mapped: lists merged on disk, or parts whose rows are numbered through."""
    if any(file.name == LISTS for file in files):
        merged = next(file for file in files if file.suffix == ".faiss")
        return faiss.read_index(str(merged), faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_ONDISK_SAME_DIR)
    parts = [faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC) for file in files if file.suffix == ".faiss"]
    together: Any = faiss.IndexShards(parts[0].d, False, True)  # type: ignore[call-arg]
    for part in parts:
        together.add_shard(part)
    return together


def parts(index: Any) -> Iterator[tuple[int, Any]]:
    """What the index consists of, each with the row of its first vector."""
    found = map(index.at, range(index.count())) if isinstance(index, faiss.IndexShards) else [index]  # type: ignore[attr-defined]
    first = 0
    for part in found:
        yield first, part
        first += part.ntotal


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """LabError where the files of an index cannot be written; faiss raises RuntimeError for that."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = str(error).rpartition("failed: ")[2]  # faiss begins with a line of its own source
        there = next(path for path in folder.parents if path.exists())
        free = f"{shutil.disk_usage(there).free / 1e6:,.3f} MB are free"
        raise LabError(
            f"{folder}: the index cannot be written there ({reason}; {free}). Free some, or choose another folder; "
            "where there is room, remove the .parts folder, if there is one, and build again."
        ) from error


def check_room(folder: Path, size: int) -> None:
    """OSError unless so many bytes are free in the folder."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, f"it takes {size / 1e6:,.3f} MB")


def write_index(index: Any, path: Path) -> None:
    """As `faiss.write_index`, which does not notice when the last of its bytes find no place."""
    with path.open("wb") as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]


def write_manifest(about: Mapping[str, Any], folder: Path) -> None:
    """index.json: what is said about the index, sealed by its own hash."""
    text = json.dumps({**about, "seal": _seal(about)}, indent=1)
    (folder / "index.json").write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """What `write_manifest` wrote. LabError unless the files of the index are those that it describes."""
    about: dict[str, Any] = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    if about.pop("seal") != _seal(about):
        raise LabError(f"{folder / 'index.json'} was changed after it was written. Build the index again.")
    files = {"index.faiss": about.get("sha256")} | ({WORDS: about["words"]} if "words" in about else {})
    for name, expected in about.get("files", files).items():
        if Path(name).name != name or sha256(folder / name) != expected:
            raise LabError(f"{folder / name} is not the file that index.json describes. Build the index again.")
    return about


def _seal(about: Mapping[str, Any]) -> str:
    return sha256_of(json.dumps(about).encode()).hexdigest()

"""Files whose content can be named, and tensors that come back as they were."""

import ctypes
import fcntl
import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError
from safetensors import safe_open

from hiddenstates.core.errors import LabError

PAGE_OUT = 21  # linux/mman.h: MADV_PAGEOUT, since Linux 5.4
AT_WORKING_FOLDER, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h

DTYPES = {
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "float32": "F32",
    "uint32": "U32",
    "int32": "I32",
    "float16": "F16",
    "uint16": "U16",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
"""numpy's names and safetensors' own, in the order in which it writes them."""

Form = TypeVar("Form", bound=BaseModel)
Key = TypeVar("Key", bound=Hashable)


def read_as(form: type[Form], text: str | bytes) -> Form:
    """JSON as `form`. ValueError that names the first key that is missing or of another type."""
    try:
        return form.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ValueError(f"{key}: {first['msg'].lower()}" if key else first["msg"]) from None


def sha256(path: Path) -> str:
    """The file's SHA-256, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content(path: Path) -> str:
    """What names the file's content, whatever the file is called: its SHA-256, or the path itself where no file is."""
    return sha256(path) if path.is_file() else str(path)


def first_of_content(files: Mapping[Key, Path]) -> dict[Key, Key]:
    """Each key, and the first key whose file has the same content."""
    first: dict[str, Key] = {}
    return {key: first.setdefault(content(path), key) for key, path in files.items()}


def fresh_folder(folder: Path) -> Path:
    """An empty folder, whatever a killed run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def replace_folder(staging: Path, target: Path) -> Path:
    """Put `staging` in the place of `target`. Renamed, never copied: a reader sees the old folder or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists() and not _exchanged(staging, target):
        target.rename(old)
    if staging.exists() and not target.exists():
        staging.rename(target)
    for rest in (staging, old):
        shutil.rmtree(rest, ignore_errors=True)
    return target


def _exchanged(one: Path, other: Path) -> bool:
    """Swap two folders in one step, if the system can: Linux does, on most file systems."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    names = (AT_WORKING_FOLDER, os.fsencode(one), AT_WORKING_FOLDER, os.fsencode(other))
    return rename is not None and rename(*names, RENAME_EXCHANGE) == 0


@contextmanager
def claimed_folder(root: Path, name: str) -> Iterator[Path]:
    """A new folder in `root` that is this process's own; what killed processes left under the name is removed.

    Its path is another each time: a kernel lives on for a second after its runner was killed, and what it writes then
    must not end up here. LabError while another process has one of this name.
    """
    leftovers = [path for path in root.glob(".*.partial") if path.name.rsplit(".", 2)[0] == f".{name}"]
    for leftover in leftovers:
        with _locked(leftover, name):
            shutil.rmtree(leftover, ignore_errors=True)
    folder = fresh_folder(root / f".{name}.{os.getpid()}.partial")
    try:
        with _locked(folder, name):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    """The system lets go of the lock when the process ends, however it ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LabError(f"{name}: another process is at it, in {folder}. Wait until it is through, or end it.") from None
    finally:
        os.close(handle)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder that takes the place of `target` when the block is through; of a block that fails nothing stays.

    LabError while another process writes the same.
    """
    with claimed_folder(target.parent, target.name) as staging:
        yield staging
        replace_folder(staging, target)


def write_tensors(tensors: Mapping[str, np.ndarray], path: Path, about: str | None = None) -> None:
    """A safetensors file, `about` in its header: the bytes of safetensors' own `save_file`, written one row at a time.

    That holds every tensor in memory twice, and the states of a deep model leave no room for it. Each row is laid out
    as it is written: one that a selection or a transposition left in another order comes back as it was. Of a tensor
    on disk no more than a row is in memory.
    """
    # one key: the header keeps no order between several, and the file must come out the same twice
    header: dict[str, object] = {} if about is None else {"__metadata__": {"about": about}}
    kinds = list(DTYPES)
    order = sorted(tensors, key=lambda name: (kinds.index(tensors[name].dtype.name), name))
    end = 0
    for name in order:
        tensor, start = tensors[name], end
        end += tensor.nbytes
        header[name] = {"dtype": DTYPES[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": [start, end]}
    said = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    said += b" " * (-len(said) % 8)
    with path.open("wb") as file:
        file.write(len(said).to_bytes(8, "little") + said)
        for name in order:
            for row in tensors[name] if tensors[name].ndim else [tensors[name]]:
                file.write(np.ascontiguousarray(row).data)
                let_go(row)


def mapped_tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, each read from disk when it is looked at; what is changed stays in memory.

    OSError, SafetensorError or ValueError where the file is no whole one.
    """
    with safe_open(path, framework="numpy"):  # checks that header and length fit
        pass
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {name: _mapped(path, 8 + length, **about) for name, about in header.items()}


def _mapped(path: Path, first: int, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    kinds = {name: kind for kind, name in DTYPES.items()}
    if dtype not in kinds:
        raise ValueError(f"it holds numbers of kind {dtype}; numpy has {', '.join(kinds)}")
    kind = np.dtype(kinds[dtype])
    if not all(shape):
        return np.empty(shape, kind)
    return np.asarray(np.memmap(path, kind, "c", first + data_offsets[0], tuple(shape)))


def let_go(array: np.ndarray) -> None:
    """Tells the system that what was read of a file on disk is not needed for now; nothing else changes."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        with suppress(OSError, ValueError):
            base.madvise(PAGE_OUT)


def on_disk(shape: tuple[int, ...], folder: Path | None) -> np.ndarray:
    """Zeros of float32 in a file without a name, which goes away with the array: the system may free its pages.

    folder: None is the system's own for passing files
    """
    with TemporaryFile(dir=folder) as file:
        return np.asarray(np.memmap(file, np.float32, "w+", 0, shape))

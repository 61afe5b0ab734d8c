"""Tables of strings, of any length: a long one lies on disk and is read when it is looked at."""

import hashlib
import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, Features, Value
from datasets.fingerprint import generate_random_fingerprint
from datasets.utils import disable_progress_bars

from hiddenstates.core.paths import scratch_folder

ROWS_AT_ONCE = 65_536
"""Rows that are in memory at once; a table of more is read from disk when it is looked at."""

Row = Mapping[str, Any]
disable_progress_bars()  # its bars end up in executed notebooks, and nothing here maps for long


def table(rows: Iterable[Row], columns: tuple[str, ...]) -> Dataset:
    """Rows as a dataset of exactly these string columns; "" where a row has no such key."""
    schema = _strings(columns).arrow_schema
    return _dataset(_kept((_batch(some, columns, schema) for some in _by(ROWS_AT_ONCE, rows)), schema))


def _dataset(rows: pa.Table) -> Dataset:
    """Under a name drawn for it: `datasets` would else pickle all rows, in memory, to make one of their content."""
    return Dataset(rows, fingerprint=generate_random_fingerprint())


def _batch(rows: Iterable[Row], columns: tuple[str, ...], schema: pa.Schema) -> pa.RecordBatch:
    values = [[str(row.get(column, "")) for row in rows] for column in columns]
    return pa.record_batch([pa.array(each, pa.string()) for each in values], schema=schema)


def _by(size: int, rows: Iterable[Row]) -> Iterator[list[Row]]:
    every = iter(rows)
    while some := list(islice(every, size)):
        yield some


def _kept(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The batches as one table: one alone in memory, more of them in a file without a name, whose pages may go."""
    first = list(islice(every := iter(batches), 1))
    second = next(every, None)
    if second is None:
        return pa.Table.from_batches(first, schema)
    with tempfile.NamedTemporaryFile(dir=scratch_folder(), prefix=".table-") as file:
        with pa.ipc.new_stream(file, schema) as writer:
            for batch in chain(first, [second], every):
                writer.write_batch(batch)
        file.flush()
        pa.default_memory_pool().release_unused()  # else it keeps, for what comes next, what the batches took
        return pa.ipc.open_stream(pa.memory_map(file.name)).read_all()


def read_table(path: Path, columns: tuple[str, ...]) -> Dataset:
    # not Dataset.from_parquet: that copies the file into ~/.cache and believes the copy
    with pq.ParquetFile(path) as file:
        found = _dataset(_kept(file.iter_batches(ROWS_AT_ONCE), file.schema_arrow))
    if found.features != _strings(columns):
        raise ValueError(f"{path.name} has the columns {found.features}, not {', '.join(columns)}, all strings")
    return found


def parts(rows: Dataset) -> Iterator[Dataset]:
    """The rows in order, so many at a time as are in memory at once."""
    return (
        rows.select(range(first, min(first + ROWS_AT_ONCE, len(rows)))) for first in range(0, len(rows), ROWS_AT_ONCE)
    )


def places(rows: Dataset, ids: Collection[str]) -> dict[str, int]:
    """The row of each of these ids that is there, in the order of the rows; no list or dict of all others is made."""
    found: dict[str, int] = {}
    wanted, first = frozenset(ids), 0
    for part in parts(rows):
        found |= {id: first + i for i, id in enumerate(part["id"][:]) if id in wanted}
        first += len(part)
    return found


def pinned(name: str, passages: Dataset) -> str:
    """A revision for passages that have none of their own: `name@` and a hash of every row."""
    digest = hashlib.sha256()
    for batch in passages.iter(1000):
        digest.update(json.dumps(batch).encode())
    return f"{name}@{digest.hexdigest()[:12]}"


def _strings(columns: tuple[str, ...]) -> Features:
    return Features({c: Value("string") for c in columns})

"""Rows with a vector beside each, written to disk a part at a time."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from datasets import Dataset, concatenate_datasets, load_from_disk


def save_with_vectors(rows: Dataset, vectors: Iterable[np.ndarray], column: str, folder: Path) -> None:
    """What `datasets.load_from_disk` reads: the rows, and the vector of each in one more column.

    vectors: [row, width], in the order of the rows, some at a time: these are what memory holds
    folder:  a new one; beside it lie the parts until all are there
    """
    with TemporaryDirectory(dir=folder.parent) as passing:
        parts, first = [], 0
        for some in vectors:
            part, path = rows.select(range(first, first + len(some))), Path(passing, str(first))
            part.add_column(column, list(some)).save_to_disk(path)
            parts.append(load_from_disk(path))
            first += len(some)
        concatenate_datasets(parts).save_to_disk(folder)

"""Datasets in Hugging Face's formats: on disk, or on the hub at a pinned commit."""

import re
import tempfile
from pathlib import Path

from datasets import Dataset, DatasetDict, Image, load_dataset, load_from_disk
from datasets.exceptions import DatasetsError

from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import ROOT


def open_dataset(name: str, split: str | None, revision: str | None) -> Dataset:
    """One split of a Hugging Face dataset in plain values, nested columns flat with dotted names (`output.answer`).

    A picture is a dict of its file's `bytes` and `path`, either of them None.

    name:     a path under the repository or absolute (a folder that `save_to_disk` wrote, or JSONL, CSV or Parquet),
              else a name on the hub; no code of a dataset is ever run
    split:    None where there is only one
    revision: the commit that pins a hub name
    """
    found = _open_local(ROOT / name) if (ROOT / name).exists() else _open_hub(name, revision)
    splits = dict(found) if isinstance(found, DatasetDict) else {"train": found}  # the hub's name for the undivided
    if not splits:
        raise LabError(f"{name}: not one row in it. Save it again.")
    if split is None and len(splits) > 1:
        raise LabError(f"{name}: one split is wanted, not {', '.join(splits)}. Save the one you mean on its own.")
    if split is not None and split not in splits:
        raise LabError(f"{name}: no split {split!r}, only {', '.join(splits)}. Set corpus.huggingface.splits.")
    chosen = splits[split or next(iter(splits))].with_format(None).flatten()  # plain values, whatever it was saved with
    for column in [name for name, feature in chosen.features.items() if isinstance(feature, Image)]:
        chosen = chosen.cast_column(column, Image(decode=False))
    return chosen


def _open_local(path: Path) -> Dataset | DatasetDict:
    try:
        if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
            return load_from_disk(path)
        folder, files = (path, None) if path.is_dir() else (path.parent, path.name)
        with tempfile.TemporaryDirectory() as cache:  # not ~/.cache: a stale copy there would be believed
            return load_dataset(str(folder), data_files=files, cache_dir=cache, keep_in_memory=True)
    except Exception as error:  # each format's reader raises what it trips over
        raise LabError(f"{path}: not a readable dataset ({error.__cause__ or error}). Save it again.") from error


def _open_hub(name: str, revision: str | None) -> DatasetDict:
    if revision is None or not re.fullmatch("[0-9a-f]{40}", revision):
        raise LabError(
            f"{name}: no such path under {ROOT}, and as a hub name it is not pinned (revision {revision!r}). "
            "Correct the path, or set the revision to the 40 digits of a commit: a branch or a tag can move."
        )
    try:
        return load_dataset(name, revision=revision)
    except (OSError, ValueError, DatasetsError) as error:
        raise LabError(
            f"{name}: no such path under {ROOT}, and the hub did not give it ({error}). "
            "Correct the name, go online, or name a local copy."
        ) from error

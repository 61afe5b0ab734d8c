"""Which split each query is in: from the names of the files, or drawn where a source has no dev split."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from hiddenstates.core.data import SPLITS
from hiddenstates.core.errors import LabError
from hiddenstates.core.params import Corpus

SPLIT_OF_NAME = {"train": "train", "dev": "dev", "validation": "dev", "val": "dev", "test": "test"}


def split_files(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """split -> its file, in the order of `SPLITS`. LabError for a file that is no split, and for two of one split."""
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.glob("*") if p.suffix in suffixes):
        if path.stem not in SPLIT_OF_NAME:
            raise LabError(f"{path}: not a split. Name it one of {', '.join(SPLIT_OF_NAME)}, or move it away.")
        split = SPLIT_OF_NAME[path.stem]
        if split in found:
            raise LabError(f"{path}: the {split} split is already {found[split].name}. Keep one of the two.")
        found[split] = path
    return {split: found[split] for split in SPLITS if split in found}


def assign_splits(ids: Mapping[str, Sequence[str]], params: Corpus, source: str) -> dict[str, str]:
    """query id -> split, from split -> query ids.

    Where a source has no dev split, `dev_share` of its train queries become dev, or of its test queries if it has no
    train either: a test split stays whole where it can, so that its numbers compare with published ones.
    """
    if "test" not in ids:
        raise LabError(f"{source}: no test split (found: {', '.join(ids) or 'none'}). Add one.")
    split_of: dict[str, str] = {}
    for split, members in ids.items():
        for query in members:
            if split_of.setdefault(query, split) != split:
                raise LabError(f"{source}: query {query!r} is in both {split_of[query]} and {split}. Keep it in one.")
    if "dev" not in ids:
        drawn_from = "train" if "train" in ids else "test"
        split_of |= dict.fromkeys(_draw(ids[drawn_from], params, source), "dev")
    return split_of


def _draw(ids: Sequence[str], params: Corpus, source: str) -> list[str]:
    """`dev_share` of these, at least one and not all; the same ones however they are ordered."""
    distinct = sorted(set(ids), key=lambda i: hashlib.sha256(f"{params.seed}:{i}".encode()).digest())
    if len(distinct) < 2:
        raise LabError(f"{source}: {len(distinct)} queries cannot be shared between dev and test. Add a dev split.")
    return distinct[: min(max(round(params.dev_share * len(distinct)), 1), len(distinct) - 1)]

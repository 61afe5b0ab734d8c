"""The committed numbers: few headlines, which `dvc metrics` compares, and all the others beside them."""

import json
from pathlib import Path

import pytest

from hiddenstates.core.paths import ROOT
from hiddenstates.core.stage import DETAILS, METRICS, read_numbers
from hiddenstates.verify import numbers

FOLDERS = sorted(path.parent for path in (ROOT / "out").rglob(METRICS))
MOST = 150


def headlines(folder: Path) -> list[str]:
    return [name for name in numbers(ROOT) if name.startswith(f"{(folder / METRICS).relative_to(ROOT)}: ")]


def test_the_headlines_of_all_stages_can_be_read_at_a_sitting() -> None:
    assert len(FOLDERS) == 13
    assert sum(len(headlines(folder)) for folder in FOLDERS) <= MOST


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_stage_has_headlines_and_details(folder: Path) -> None:
    assert 5 <= len(headlines(folder)) <= 20
    assert json.loads((folder / DETAILS).read_text("utf-8"))
    assert read_numbers(folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_headline_is_one_number_or_word(folder: Path) -> None:
    """`dvc metrics` leaves out whatever stands in a list."""
    assert not [name for name in headlines(folder) if name.rpartition(".")[2].isdigit()]

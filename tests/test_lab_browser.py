"""Notebooks by Run All in JupyterLab, in a real browser, in a folder of their own, with no pipeline behind them.

A few of them, because test_by_hand.py runs them all without a browser; `make browser` runs all here, too.
"""

import os
from pathlib import Path

import nbformat
import pytest
from lab import Lab, copied, needs_browser, run_all, saved
from playwright.sync_api import Browser

from hiddenstates.core.paths import NOTEBOOKS

pytestmark = needs_browser


EVERY = "HIDDENSTATES_EVERY_NOTEBOOK"
SHORT = ("01_corpus", "05_strategies", "07_index", "explorer")
OPENED = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.stem in SHORT or EVERY in os.environ]


@pytest.mark.parametrize("notebook", OPENED, ids=lambda path: path.stem)
def test_run_all_ends_without_an_error(notebook: Path, lab: Lab, browser: Browser) -> None:
    copy = copied(notebook, lab.folder)
    done = saved(run_all(copy, lab, browser), copy)
    cells = [cell for cell in done.cells if cell.cell_type == "code"]
    errors = [output.evalue for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert errors == []
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_an_error_in_a_cell_is_seen(lab: Lab, browser: Browser, tmp_path: Path) -> None:
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(broken, tmp_path / "broken.ipynb")
    copy = copied(tmp_path / "broken.ipynb", lab.folder)
    done = saved(run_all(copy, lab, browser), copy)
    assert [output.ename for output in done.cells[0].outputs] == ["ZeroDivisionError"]

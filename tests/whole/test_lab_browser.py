"""Notebooks by Run All in JupyterLab, in a real browser, in a folder of their own, with no pipeline behind them.

One of them: test_by_hand.py runs them all without a browser, test_explorer_browser.py the explorer in one, and
`make browser` all of them here.
"""

import os
from pathlib import Path

import nbformat
import pytest
from lab import Lab, assert_all_ran, copied, needs_browser, run_all, saved
from playwright.sync_api import Browser

from hiddenstates.core.paths import NOTEBOOKS

pytestmark = needs_browser


EVERY = "HIDDENSTATES_EVERY_NOTEBOOK"
SHORT = ("01_corpus",)
OPENED = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.stem in SHORT or EVERY in os.environ]


@pytest.mark.parametrize("notebook", OPENED, ids=lambda path: path.stem)
def test_run_all_ends_without_an_error(notebook: Path, lab: Lab, browser: Browser) -> None:
    copy = copied(notebook, lab.folder)
    done = saved(run_all(copy, lab, browser), copy)
    assert_all_ran(done)


def test_an_error_in_a_cell_is_seen(lab: Lab, browser: Browser, tmp_path: Path) -> None:
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(broken, tmp_path / "broken.ipynb")
    copy = copied(tmp_path / "broken.ipynb", lab.folder)
    done = saved(run_all(copy, lab, browser), copy)
    assert [output.ename for output in done.cells[0].outputs] == ["ZeroDivisionError"]

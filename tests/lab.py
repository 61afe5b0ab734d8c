"""JupyterLab as `make lab` starts it, on copies of the notebooks, driven in a real browser."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from hiddenstates.core.paths import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
SENTINEL = "every cell has run"
FAILURE = "[data-mime-type='application/vnd.jupyter.stderr']:has-text('Traceback (most recent call last)')"
ENDED = f".jp-OutputArea-output:has-text('{SENTINEL}'), {FAILURE}"
SECONDS = 1000  # Playwright counts milliseconds

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"
)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: the folder that it shows, and how to reach it."""

    folder: Path
    url: str
    token: str


@contextmanager
def running_lab(home: Path, folder: Path, out: Path | None = None) -> Iterator[Lab]:
    """A lab that shows the folder, with a home of its own and, unless they are given, no outputs of the pipeline."""
    own = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the kernelspec names a bare `python`
    own |= {"PATH": path, "JUPYTER_CONFIG_PATH": str(ROOT / ".jupyter"), "HIDDENSTATES_OUT": str(out or home / "out")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0", f"--ServerApp.root_dir={folder}"]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, cwd=folder, stdout=log, stderr=log)
    try:
        about = _about(home, server)
        yield Lab(folder, about["url"], about["token"])
    finally:
        server.terminate()
        server.wait(timeout=20)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))


def copied(notebook: Path, folder: Path) -> Path:
    """A copy that says when it is through, in words that do not stand in its source."""
    copy = nbformat.read(notebook, as_version=4)
    copy.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    copy.cells.append(nbformat.v4.new_code_cell(f"print(*{SENTINEL.split()})"))
    nbformat.write(copy, folder / notebook.name)
    return folder / notebook.name


def run_all(notebook: Path, lab: Lab, browser: Browser) -> Page:
    """Open the notebook and run all its cells, to the end or to an error."""
    page = browser.new_page()
    page.goto(f"{lab.url}lab/workspaces/{notebook.stem}/tree/{notebook.name}?token={lab.token}")
    page.locator(".jp-Notebook .jp-Cell").first.click(timeout=60 * SECONDS)
    # the icon says idle before the kernel is
    page.locator("#jp-main-statusbar", has_text="| Idle").wait_for(timeout=60 * SECONDS)
    choose(page, "Run", "runmenu:run-all")
    page.locator(ENDED).first.wait_for(state="attached", timeout=400 * SECONDS)  # it may be out of sight
    return page


def assert_all_ran(notebook: nbformat.NotebookNode) -> None:
    """Every code cell, in order, none with an error."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [output.evalue for cell in cells for output in cell.outputs if output.output_type == "error"] == []
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def saved(page: Page, notebook: Path) -> nbformat.NotebookNode:
    """Save, shut the kernel down; the notebook as it was saved."""
    save(page, notebook)
    shut_down(page)
    return nbformat.read(notebook, as_version=4)


def save(page: Page, notebook: Path) -> None:
    before = notebook.stat().st_mtime_ns
    choose(page, "File", "docmanager:save")
    _until(lambda: notebook.stat().st_mtime_ns > before and _is_whole(notebook))


def _is_whole(notebook: Path) -> bool:
    """JupyterLab empties the file before it writes it again."""
    try:
        json.loads(notebook.read_text("utf-8"))
    except ValueError:
        return False
    return True


def shut_down(page: Page) -> None:
    """End the kernel and close the page."""
    choose(page, "Kernel", "kernelmenu:shutdown")
    page.locator("#jp-main-statusbar", has_text="No Kernel").wait_for(timeout=20 * SECONDS)
    page.close()


def choose(page: Page, menu: str, command: str) -> None:
    """An entry of a menu of the lab."""
    page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
    page.locator(f".lm-Menu-item[data-command='{command}']").click()


def _about(home: Path, server: "subprocess.Popen[bytes]") -> dict[str, str]:
    """What the server wrote about itself once it listened: its url with the port it found, and its token."""
    _until(lambda: server.poll() is not None or any((home / "RUNTIME").glob("jpserver-*.json")))
    assert server.poll() is None, (home / "log").read_text()
    about: dict[str, str] = json.loads(next((home / "RUNTIME").glob("jpserver-*.json")).read_text())
    return about


def _until(done: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"waited {seconds} seconds in vain"
        time.sleep(0.05)

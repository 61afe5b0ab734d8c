"""Every notebook as a reader opens it: Run All, with no pipeline behind it, from any folder."""

from pathlib import Path

import nbformat
import pytest
from architecture import Repository
from nbclient import NotebookClient

from hiddenstates.core.paths import ROOT
from hiddenstates.core.stage import WRITE_TO

NOTEBOOKS = Repository(ROOT).notebooks


@pytest.mark.parametrize("path", NOTEBOOKS.values(), ids=NOTEBOOKS)
def test_it_answers_and_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    elsewhere, samples = tmp_path / "elsewhere", tmp_path / "samples"
    elsewhere.mkdir()
    samples.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("TMPDIR", str(samples))
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path / "out"))
    monkeypatch.delenv("HIDDENSTATES_PARAMS", raising=False)
    monkeypatch.delenv(WRITE_TO, raising=False)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": elsewhere}}).execute()
    said = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))
    assert f"Opened by hand: a small sample, nothing of out/ is read or written. Results go to {samples}" in said
    assert "**" in notebook.cells[-2].outputs[0].data["text/markdown"]
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "out").exists()

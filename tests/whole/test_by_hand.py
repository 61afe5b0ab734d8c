"""Every notebook as a reader opens it: Run All, with no pipeline behind it, from any folder."""

from pathlib import Path

import nbformat
import pytest
from architecture import Repository
from nbclient import NotebookClient

from hiddenstates.core.paths import ROOT
from hiddenstates.core.stage import WRITE_TO
from hiddenstates.pipeline.kernel import own_kernel

NOTEBOOKS = Repository(ROOT).notebooks
SHARED = """
import shutil
from pathlib import Path

from hiddenstates import preview


def kept(stage, make):
    def copied_or_made(folder, inputs):
        kept = Path({folder!r}) / stage
        if not kept.exists():
            make(folder, inputs)
            shutil.copytree(folder, kept)
        shutil.copytree(kept, folder, dirs_exist_ok=True)

    return copied_or_made


preview._SAMPLES |= {{stage: kept(stage, make) for stage, make in preview._SAMPLES.items()}}
"""
"""A first cell, by which one notebook takes the samples that another has made: they are the same, and take a while."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> str:
    return SHARED.format(folder=str(tmp_path_factory.mktemp("shared")))


@pytest.mark.parametrize("path", NOTEBOOKS.values(), ids=NOTEBOOKS)
def test_it_answers_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path, shared: str
) -> None:
    elsewhere, samples = tmp_path / "elsewhere", tmp_path / "samples"
    elsewhere.mkdir()
    samples.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("TMPDIR", str(samples))
    monkeypatch.setenv("HIDDENSTATES_OUT", str(tmp_path / "out"))
    monkeypatch.delenv("HIDDENSTATES_PARAMS", raising=False)
    monkeypatch.delenv(WRITE_TO, raising=False)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(shared))
    with own_kernel() as kernel:
        NotebookClient(
            notebook, timeout=120, kernel_name=kernel.name, resources={"metadata": {"path": elsewhere}}
        ).execute()
    said = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))
    assert f"Opened by hand: a small sample, nothing of out/ is read or written. Results go to {samples}" in said
    assert "**" in notebook.cells[-2].outputs[0].data["text/markdown"]
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "out").exists()

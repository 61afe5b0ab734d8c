"""The kernel is the runner's own, whatever kernelspecs the user's environment holds."""

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from hiddenstates.pipeline.kernel import own_kernel
from hiddenstates.run import _execute


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JUPYTER_PATH whose python3, and whose kernel of our name, start something that is no kernel."""
    for name in ("python3", "hiddenstates"):
        spec = tmp_path / "jupyter" / "kernels" / name
        spec.mkdir(parents=True)
        about = {"argv": ["/nonexistent/python"], "display_name": "Another", "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(about), "utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return tmp_path


@pytest.mark.usefixtures("foreign")
def test_the_spec_starts_this_interpreter_and_is_gone_afterwards() -> None:
    before = os.environ["JUPYTER_PATH"]
    with own_kernel() as kernel:
        assert KernelSpecManager().get_kernel_spec(kernel.name).argv[0] == sys.executable
    assert os.environ["JUPYTER_PATH"] == before


def test_without_a_jupyter_path_there_is_none_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    with own_kernel():
        pass
    assert "JUPYTER_PATH" not in os.environ


FOUND = """
from pathlib import Path


class Circle:
    def __init__(self):
        self.own, self.found = self, Path({found!r}).touch

    def __del__(self):
        self.found()


circle = Circle()
"""


def test_a_notebook_runs_in_it_and_garbage_is_looked_for_seldom_and_not_at_the_end(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH")  # where tests/startup says the same of all that a test starts
    cells = [nbformat.v4.new_code_cell("n = 1", metadata={"tags": ["parameters"]})]
    cells.append(nbformat.v4.new_code_cell(FOUND.format(found=str(foreign / "found"))))
    cells.append(nbformat.v4.new_code_cell("import gc, sys\nprint(sys.executable, n, gc.get_threshold()[0])"))
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), foreign / "n.ipynb")
    _execute(foreign / "n.ipynb", foreign / "done.ipynb", {"n": 2})
    done = nbformat.read(foreign / "done.ipynb", as_version=4)
    assert done.cells[-1].outputs[0].text == f"{sys.executable} 2 10000\n"
    assert done.metadata.kernelspec.name == "python3"
    assert not (foreign / "found").exists()

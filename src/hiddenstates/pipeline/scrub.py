"""Executed notebooks without what differs from run to run, so that equal work gives equal bytes."""

from collections.abc import Iterable
from copy import deepcopy

from nbformat import NotebookNode
from nbformat.v4 import new_output

PARAMETERS, INJECTED = "parameters", "injected-parameters"
"""Tags of the cell that holds the defaults, and of the one that papermill puts below it."""

TIMED = "timed"
"""Tag of a cell whose outputs depend on the machine and the moment."""

ELSEWHERE = "Timed on the machine that ran it: timed.ipynb, beside this notebook, shows it."


def scrub(notebook: NotebookNode) -> NotebookNode:
    """The notebook without moment and Python of its run, progress bars and random ids; what it says and shows stays.

    Of the parameters only those that it ran with stay: papermill takes their place when it runs the notebook again.
    """
    if any(_tagged(cell, INJECTED) for cell in notebook.cells):
        notebook.cells = [cell for cell in notebook.cells if not _tagged(cell, PARAMETERS)]
    for key in ("papermill", "widgets"):
        notebook.metadata.pop(key, None)
    notebook.metadata.get("language_info", {}).pop("version", None)  # 3.11.2 makes what 3.11.7 makes
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if _tagged(cell, INJECTED):
            cell.id = INJECTED
        if cell.cell_type == "code":
            cell.outputs = _joined(output for output in cell.outputs if not _passing(output))
    return notebook


def untimed(notebook: NotebookNode) -> NotebookNode:
    """A copy in which each cell tagged `TIMED` says where its outputs are instead of showing them."""
    copy = deepcopy(notebook)
    for cell in timed_cells(copy):
        cell.outputs = [new_output("stream", text=ELSEWHERE)]
    return copy


def timed_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells whose outputs are timings."""
    return [c for c in notebook.cells if c.cell_type == "code" and _tagged(c, TIMED)]


def _tagged(cell: NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def _joined(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """What was printed in several goes as one: where it is cut depends on the moment."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _passing(output: NotebookNode) -> bool:
    """Progress and warnings on stderr, and widgets: for the person who waits, not for the reader."""
    return output.get("name") == "stderr" or "application/vnd.jupyter.widget-view+json" in output.get("data", {})

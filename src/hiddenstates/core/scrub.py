"""Executed notebooks without what differs from run to run, so that equal work gives equal bytes."""

from nbformat import NotebookNode

INJECTED = "injected-parameters"


def scrub(notebook: NotebookNode) -> NotebookNode:
    """The notebook without timings, progress bars and random ids; what it says and shows is untouched."""
    for key in ("papermill", "widgets"):
        notebook.metadata.pop(key, None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if INJECTED in cell.metadata.get("tags", []):
            cell.id = INJECTED
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _passing(output)]
    return notebook


def _passing(output: NotebookNode) -> bool:
    """Progress and warnings on stderr, and widgets: for the person who waits, not for the reader."""
    return output.get("name") == "stderr" or "application/vnd.jupyter.widget-view+json" in output.get("data", {})

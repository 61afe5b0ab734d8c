from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from hiddenstates.pipeline.scrub import INJECTED, PARAMETERS, scrub

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def executed(when: str) -> NotebookNode:
    """A notebook as papermill leaves it, all that differs from run to run set to `when`."""
    widget = new_output("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": when}})
    outputs = [
        new_output("stream", name="stderr", text=when),
        widget,
        new_output("stream", name="stdout", text="said"),
        new_output("execute_result", {"text/plain": "42"}, execution_count=1),
    ]
    passing = {"papermill": {"start_time": when}, "execution": {"iopub.execute_input": when}}
    defaults = new_code_cell("depth = 10", id=f"defaults-{when}", metadata={"tags": [PARAMETERS]})
    injected = new_code_cell("depth = 5", id=when, metadata={**passing, "tags": [INJECTED]})
    code = new_code_cell("1", id="code", execution_count=1, outputs=outputs, metadata={**passing, "tags": ["kept"]})
    prose = new_markdown_cell("# Why?", id="prose", metadata=passing)
    return new_notebook(
        cells=[prose, defaults, injected, code],
        metadata={"papermill": {"end_time": when}, "widgets": {when: 1}, "kernelspec": KERNEL}
        | {"language_info": {"name": "python", "version": when}},
    )


def test_what_differs_from_run_to_run_goes() -> None:
    once, again = (nbformat.writes(scrub(executed(when))) for when in ("monday", "tuesday"))
    assert once == again
    assert "monday" not in once


def test_what_it_says_and_shows_stays() -> None:
    prose, injected, code = (notebook := scrub(executed("monday"))).cells
    assert [prose.source, injected.source, injected.id] == ["# Why?", "depth = 5", INJECTED]
    assert [output.get("text") or output.data["text/plain"] for output in code.outputs] == ["said", "42"]
    assert (code.metadata, code.execution_count) == ({"tags": ["kept"]}, 1)
    assert notebook.metadata == {"kernelspec": KERNEL, "language_info": {"name": "python"}}


def test_a_scrubbed_notebook_is_valid_and_stays_as_it_is() -> None:
    once = scrub(executed("monday"))
    nbformat.validate(once)
    text = nbformat.writes(once)
    assert nbformat.writes(scrub(once)) == text


def test_what_is_printed_in_two_goes_is_one_output() -> None:
    said = [("stdout", "a\n"), ("stderr", "b"), ("stdout", "c")]
    goes = [new_output("stream", name=name, text=text) for name, text in said]
    shown = new_output("execute_result", {"text/plain": "42"}, execution_count=1)
    cell = new_code_cell("1", outputs=[*goes, shown, new_output("stream", name="stdout", text="d")])
    outputs = scrub(new_notebook(cells=[cell])).cells[0].outputs
    assert [output.get("text", "shown") for output in outputs] == ["a\nc", "shown", "d"]


def test_the_defaults_stay_where_nothing_took_their_place() -> None:
    cell = new_code_cell("depth = 10", metadata={"tags": [PARAMETERS]})
    assert [cell.source for cell in scrub(new_notebook(cells=[cell])).cells] == ["depth = 10"]


def test_papermill_runs_a_scrubbed_notebook_with_other_parameters(tmp_path: Path) -> None:
    nbformat.write(scrub(executed("monday")), tmp_path / "notebook.ipynb")
    again = parameterize_notebook(load_notebook_node(str(tmp_path / "notebook.ipynb")), {"depth": 7})
    written = [cell.source for cell in again.cells if INJECTED in cell.metadata.get("tags", [])]
    assert written == ["# Parameters\ndepth = 7\n"]
    assert [cell.source for cell in scrub(again).cells] == ["# Why?", *written, "1"]

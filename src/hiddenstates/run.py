"""`python -m hiddenstates.run <stage>`: one stage of dvc.yaml, from params.yaml to out/<stage>/. The door to papermill.

A stage that runs for each encoder is named as DVC does: `strategies@minilm` writes to out/strategies/minilm/.

Everything is checked before any work; the notebook writes into a folder beside, which replaces out/<stage> only when
the notebook is through: kill it at any moment, and out/<stage> is the former one or the new one, whole. A notebook that
fails is kept in out/failed/ to be read.

notebook.ipynb, metrics.json and details.json come out the same each time. What the clock says does not, and lies
beside them, unknown to DVC: timings.json, and timed.ipynb, the notebook with its timed cells.
"""

import argparse
import ast
import errno
import os
import sys
import time
from pathlib import Path
from typing import Any

# jsonschema, behind nbformat, compiles a grammar of IRIs when it finds this package: seconds for each stage, and no
# notebook holds an IRI to be checked.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import nbformat
import papermill
import yaml
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from hiddenstates.core.errors import LabError
from hiddenstates.core.files import claimed_folder, replace_folder
from hiddenstates.core.params import PER_ENCODER, SECTIONS, load_params
from hiddenstates.core.paths import NOTEBOOKS, ROOT, out_folder, params_file
from hiddenstates.core.stage import NOTHING, WRITE_TO, add_timings, write_numbers
from hiddenstates.pipeline.idle import idle
from hiddenstates.pipeline.kernel import ENVIRONMENT, own_kernel
from hiddenstates.pipeline.scrub import scrub, timed_cells, untimed
from hiddenstates.pipeline.settings import Sections, settled

NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)
"""What the system says where there is no room, or no right, to write."""


def run_stage(stage: str) -> Path:
    """Run one stage whole and return out/<stage>, or raise LabError and leave out/<stage> as it was."""
    name, _, encoder = stage.partition("@")
    notebook = notebook_of(name)
    sections = load_params(params_file())
    parameters = parameters_of(name, encoder, sections)
    check_parameters(notebook, parameters)
    nothing = idle(name, encoder, sections)
    try:
        with claimed_folder(out_folder(), stage) as staging:
            if nothing:
                leave_empty(notebook, nothing, staging)
            else:
                _run(stage, notebook, parameters, staging)
            _fill_folders(name, staging, nothing or "The data gave nothing to put here.")
            return replace_folder(staging, out_folder() / name / encoder)
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise LabError(f"{stage}: {_no_place(str(error))}") from error


def _run(stage: str, notebook: Path, parameters: dict[str, Any], staging: Path) -> None:
    os.environ |= {key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()} | {WRITE_TO: str(staging)}
    start = time.monotonic()
    try:
        peak = _execute(notebook, staging / "notebook.ipynb", parameters)
        add_timings(staging, {"stage": {"seconds": time.monotonic() - start, "peak memory, MB": peak}})
    except (PapermillExecutionError, DeadKernelError) as error:
        told = _told(error)  # before the failed notebook is kept, for which there may be no room either
        raise LabError(f"{stage}: {told}\n{_keep_failed(stage, staging)}") from error
    finally:
        del os.environ[WRITE_TO]


def leave_empty(notebook: Path, why: str, staging: Path) -> None:
    """What a stage leaves that has nothing to do: its question, why there is no answer, and metrics that say so."""
    print(why)
    title = _read(notebook).cells[0].source.splitlines()[0]
    about = [nbformat.v4.new_markdown_cell(text, id=name) for name, text in (("question", title), ("nothing", why))]
    nbformat.write(nbformat.v4.new_notebook(cells=about), staging / "notebook.ipynb")
    write_numbers(staging, {"nothing to do": why}, {})


def _fill_folders(stage: str, staging: Path, why: str) -> None:
    """DVC wants every folder that dvc.yaml declares: one that this corpus leaves empty holds the reason."""
    for folder in (staging / name for name in declared(stage) if not Path(name).suffix):
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            (folder / NOTHING).write_text(why + "\n", encoding="utf-8")


def declared(stage: str) -> list[str]:
    """What dvc.yaml says that the stage leaves in its folder."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    about = stages.get(stage, {})
    about = about.get("do", about)
    entries = [entry for key in ("outs", "metrics", "plots") for entry in about.get(key, [])]
    paths = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return [path.removeprefix(f"out/{stage}/").removeprefix("${key}/") for path in paths]


def notebook_of(stage: str) -> Path:
    """notebooks/NN_<stage>.ipynb."""
    found = sorted(NOTEBOOKS.glob(f"[0-9][0-9]_{stage}.ipynb"))
    if stage not in SECTIONS or len(found) != 1:
        raise LabError(f"stage {stage!r}: expected one notebooks/NN_{stage}.ipynb. Stages: {', '.join(SECTIONS)}.")
    return found[0]


def parameters_of(stage: str, encoder: str, sections: Sections) -> dict[str, Any]:
    """The stage's section of params.yaml; and the encoder's name, for a stage that runs for each."""
    settings = settled(stage, sections)
    parameters = sections[stage].model_dump(mode="json") | settings.values | settings.made
    names = sections["states"].model_dump()["encoders"] if stage in PER_ENCODER else [""]
    if encoder not in names:
        written, right = (f"{stage}@{encoder}".strip("@"), ", ".join(f"{stage}@{name}".strip("@") for name in names))
        raise LabError(f"stage {written!r}: choose one of {right}.")
    return parameters | ({"encoder": encoder} if encoder else {})


def check_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """The cell tagged `parameters` must assign exactly the keys of the stage's section: papermill would only warn."""
    cells = _read(notebook).cells
    source = next((c.source for c in cells if "parameters" in c.metadata.get("tags", [])), None)
    if source is None:
        raise LabError(f"{notebook.name}: no cell is tagged `parameters`. Tag the cell that holds the defaults.")
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise LabError(f"{notebook.name}: its parameters cell is not Python ({error}). Fix it.") from error
    assigned = {t.id for node in body for t in getattr(node, "targets", []) if isinstance(t, ast.Name)}
    odd = assigned.symmetric_difference(parameters)
    if odd:
        raise LabError(
            f"{notebook.name}: {', '.join(sorted(odd))}: in its parameters cell or in params.py, not in both."
        )


def _read(notebook: Path) -> nbformat.NotebookNode:
    try:
        return nbformat.read(notebook, as_version=4)
    except Exception as error:  # nbformat raises whatever it trips over
        reason = " ".join(str(error).split())[:200]
        raise LabError(f"{notebook}: not a notebook ({reason}). Take it from git again, or save it anew.") from error


def _execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> float:
    """The most memory that the kernel held, in MB."""
    paths = (_as_it_is(notebook), _as_it_is(output))
    with own_kernel() as kernel:
        papermill.execute_notebook(
            *paths, parameters=parameters, kernel_name=kernel.name, stderr_file=sys.stderr, progress_bar=False
        )
        peak = kernel.peak_memory()
    done = scrub(nbformat.read(output, as_version=4))
    nbformat.write(untimed(done), output)
    if timed_cells(done):
        nbformat.write(done, output.with_name("timed.ipynb"))
    return peak


def _as_it_is(path: Path) -> str:
    """papermill takes braces in a path for the name of a parameter."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _told(error: PapermillExecutionError | DeadKernelError) -> str:
    """Of a LabError its sentence, of any other error the traceback."""
    if isinstance(error, DeadKernelError):
        return "the kernel died, as it does when memory runs out. Ask for less in params.yaml."
    if error.ename == "LabError":
        return str(error.evalue)
    if any(os.strerror(number) in error.evalue for number in NO_PLACE):  # Rust and C++ libraries say it in their words
        return _no_place(error.evalue)
    return str(error)


def _no_place(reason: str) -> str:
    return (
        f"nothing can be written to {out_folder()} ({reason}). Free some room or mend the rights, or name another "
        "folder by HIDDENSTATES_OUT. Nothing is lost: what dvc removed before the run, `dvc checkout` brings back."
    )


def _keep_failed(stage: str, staging: Path) -> str:
    kept = out_folder() / "failed" / f"{stage}.ipynb"
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        (staging / "notebook.ipynb").replace(kept)
    except OSError as error:
        return f"The failed notebook could not be kept ({error})."
    return f"The failed notebook: {kept}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run one stage of the lab, as dvc.yaml does.")
    parser.add_argument("stage", help="as dvc.yaml names it")
    try:
        print(run_stage(parser.parse_args().stage))
    except LabError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

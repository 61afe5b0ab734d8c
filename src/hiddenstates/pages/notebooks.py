"""What an executed notebook says: its question, its verdict, its best figure, and all of it as HTML."""

import base64
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter

from hiddenstates.core.errors import LabError
from hiddenstates.core.paths import NOTEBOOKS

FIGURES = {
    "corpus": "questions",
    "pretrain": "learned",
    "tying": "shared",
    "states": "alignment",
    "strategies": "heatmap",
    "images": "found",
    "index": "recall",
    "compare": "differences",
    "tagging": "layers",
    "tokens": "places",
}
"""The figure of each stage that shows its answer best."""


@dataclass(frozen=True)
class Executed:
    """The notebook that a stage left. stage: as dvc.yaml names it, such as `strategies@minilm`"""

    stage: str
    folder: Path

    @cached_property
    def cells(self) -> list[Any]:
        """LabError where it cannot be read."""
        path = self.folder / "notebook.ipynb"
        try:
            return list(nbformat.read(path, as_version=4).cells)
        except Exception as error:  # nbformat raises whatever it trips over
            raise LabError(f"{path}: not a notebook ({error}). Run the stage `{self.stage}` again.") from error

    @property
    def page(self) -> str:
        """The name of its page; a stage is called index, and must not take the front page's."""
        return f"stage-{self.stage.replace('@', '-')}.html"

    @property
    def question(self) -> str:
        """Its first heading."""
        return str(self.cells[0].source).splitlines()[0].lstrip("# ")

    @property
    def verdict(self) -> str:
        """What its last code cell shows, as Markdown; of a stage that had nothing to do, why."""
        code = [cell for cell in self.cells if cell.cell_type == "code"]
        shown = [output.get("data", {}).get("text/markdown", "") for output in code[-1].outputs] if code else []
        return str("".join(shown) or self.cells[-1].source)

    @property
    def figure(self) -> str:
        """Its best figure as a data URI; "" where it has none."""
        found = sorted(self.folder.glob("figures/*.png"))
        best = [path for path in found if path.stem == FIGURES.get(self.stage.partition("@")[0])]
        if not found:
            return ""
        return "data:image/png;base64," + base64.b64encode((best or found)[0].read_bytes()).decode()

    def html(self) -> str:
        """All of it, with its outputs."""
        exporter = HTMLExporter(template_name="basic", anchor_link_text="")
        body, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=self.cells))
        return str(body)


def executed(out: Path) -> list[Executed]:
    """Those under `out/`, in the order of the stages. LabError where there are none."""
    found = []
    for stage in (path.stem.partition("_")[2] for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))):
        folders = [out / stage, *sorted(path for path in (out / stage).glob("*") if path.is_dir())]
        for folder in (folder for folder in folders if (folder / "notebook.ipynb").is_file()):
            found.append(Executed(stage if folder == out / stage else f"{stage}@{folder.name}", folder))
    if not found:
        raise LabError(f"{out}: no executed notebook in it. Run `make repro` first.")
    return found
